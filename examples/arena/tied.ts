// Loaded before each part of the demo: a part whose starter is gone, however that ended, ends as well. The starter says
// nothing; that it is gone is the end of the pipe on which nothing ever comes.
import process from 'node:process'

const STOP_MS = 3000

const end = () => {
  process.kill(process.pid, 'SIGTERM')
  setTimeout(() => process.exit(1), STOP_MS)
}
process.stdin.on('error', () => {}).on('close', end)
process.stdin.resume()
process.stdin.unref()
