// `skewer completion bash|zsh|fish`: a script that completes commands and options, made from the commands themselves.
// Install: `skewer completion bash > /etc/bash_completion.d/skewer`, and alike.
import type { Command } from 'commander'
import { exitCode } from '../failure.ts'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/** One place in the command line: what has been written, what may follow. */
type Place = { path: string; words: { text: string; says: string }[] }

export function completion(shell: Shell, program: Command): number {
  const script = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](placesOf(program, ''))
  process.stdout.write(script)
  return exitCode.ok
}

function placesOf(command: Command, path: string): Place[] {
  const commands = command.commands.map((inner) => ({ text: inner.name(), says: inner.description() }))
  const options = command.options.map((option) => ({ text: option.long!, says: option.description }))
  const words = [...commands, ...options]
  for (const argument of command.registeredArguments) {
    for (const choice of argument.argChoices ?? []) words.push({ text: choice, says: argument.description })
  }
  const inner = command.commands.flatMap((inner) => placesOf(inner, `${path} ${inner.name()}`))
  return [{ path, words }, ...inner]
}

/** What was written without options and their values decides; an argument behind a command leaves its options. */
const shellPlaces = (places: Place[], line: (place: Place) => string) =>
  [...places]
    .reverse()
    .map((place) => `    "${place.path}"*) ${line(place)} ;;`)
    .join('\n')

function bashScript(places: Place[]): string {
  const words = shellPlaces(places, (place) => `words="${place.words.map(({ text }) => text).join(' ')}"`)
  return `# bash completion of skewer
_skewer() {
  local path="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ \${COMP_WORDS[i]} == -* ]] || path="$path \${COMP_WORDS[i]}"
  done
  case "$path" in
${words}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _skewer skewer
`
}

function zshScript(places: Place[]): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  const line = ({ words }: Place) => `found=(${words.map(({ text, says }) => quoted(`${text}:${says}`)).join(' ')})`
  return `#compdef skewer
_skewer() {
  local written="" i
  local -a found
  for ((i = 2; i < CURRENT; i++)); do
    [[ \${words[i]} == -* ]] || written="$written \${words[i]}"
  done
  case "$written" in
${shellPlaces(places, line)}
  esac
  _describe 'skewer' found || _files
}
compdef _skewer skewer
`
}

function fishScript(places: Place[]): string {
  const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const lines = places.flatMap(({ path, words }) => {
    const steps = path.trim().split(' ').filter(Boolean)
    const seen = steps.map((step) => `__fish_seen_subcommand_from ${step}`)
    const inner = places
      .filter((place) => place.path.startsWith(`${path} `))
      .map((place) => place.path.split(' ').at(-1))
    const condition = [...seen, ...(inner.length ? [`not __fish_seen_subcommand_from ${inner.join(' ')}`] : [])].join(
      '; and ',
    )
    return words.map(({ text, says }) => {
      const what = text.startsWith('--') ? `-l ${text.slice(2)}` : `-a ${text}`
      return `complete -c skewer -f ${condition ? `-n ${quoted(condition)} ` : ''}${what} -d ${quoted(says)}`
    })
  })
  return `# fish completion of skewer\n${lines.join('\n')}\n`
}
