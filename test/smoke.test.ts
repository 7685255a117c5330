import t from 'tap'
import process from 'node:process'

t.test('tests run on a Node that meets the floor', async (t) => {
  const [major, minor] = process.versions.node.split('.').map(Number)
  t.ok((major === 24 && minor >= 18) || (major === 26 && minor >= 5) || major > 26, process.version)
})
