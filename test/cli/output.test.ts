import t from 'tap'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { problemLines, tableLines } from '../../cli/output.ts'
import { buildProgram } from '../../cli/program.ts'
import { cliDocsMarkdown } from '../../cli/reference.ts'
import { loadSettingsText } from '../../config/settings-from-yaml.ts'
import { skewer } from './skewer.ts'

/** Many processes, on a machine that may be busy. */
t.setTimeout(180_000)

t.test('docs/cli.md is what the commands say', async (t) => {
  const page = fs.readFileSync(path.join(import.meta.dirname, '../../docs/cli.md'), 'utf8')
  t.equal(page, cliDocsMarkdown(buildProgram(() => {})))
})

t.test('on a terminal, columns are as wide as their widest cell and numbers stand to the right', async (t) => {
  const rows = [
    { name: 'arena', count: 7 },
    { name: 'x', count: 1234, note: undefined },
    { name: 'y', note: 'n' },
  ]
  t.same(tableLines(rows, true), ['name   count  note', 'arena      7  -', 'x       1234  -', 'y          -  n'])
})

t.test('on a terminal, complaints come with their line and a caret', async (t) => {
  const { problems } = loadSettingsText('servces: {}\n', { file: 'f', directory: '.' }, {})
  const complaint = 'f:1:1: servces: is not a key of a configuration; did you mean services?'
  const lines = (isTerminal: boolean) =>
    problemLines(problems!, isTerminal).map((line) => stripVTControlCharacters(line))
  t.same(lines(true), [complaint, '  1 | servces: {}', '    | ^'])
  t.same(lines(false), [complaint])
})

t.test('completion in bash offers what may stand there', async (t) => {
  const { stdout, code } = await skewer(['completion', 'bash'])
  t.equal(code, 0)
  const offers = (...words: string[]) => {
    const script = `${stdout}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _skewer; echo "\${COMPREPLY[*]}"`
    return execFileSync('bash', ['-c', script, 'bash', 'skewer', ...words], { encoding: 'utf8' })
      .trim()
      .split(' ')
  }
  t.same(offers('ses'), ['session'])
  t.same(offers('c'), ['check', 'config', 'completion'])
  t.same(offers('config', 'd'), ['default', 'docs', 'dump', 'diff'])
  t.same(offers('session', ''), ['list', 'kick'])
  t.same(offers('completion', ''), ['bash', 'zsh', 'fish'])
  t.same(offers('token', '--us'), ['--user', '--user-claim'])
  t.same(offers('session', 'list', '--j'), ['--json'])
})

t.test('completion in zsh and fish has every command; other shells are refused', async (t) => {
  const commands = buildProgram(() => {}).commands.map((command) => command.name())
  for (const shell of ['zsh', 'fish']) {
    const { stdout } = await skewer(['completion', shell])
    for (const command of commands) t.match(stdout, new RegExp(`\\b${command}\\b`))
  }
  t.match(await skewer(['completion', 'tcsh']), { code: 2, stderr: /Allowed choices are bash, zsh, fish/ })
})
