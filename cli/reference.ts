// docs/cli.md, made from the commands themselves so that it cannot be out of date.
import type { Command } from 'commander'

const INTRODUCTION = `# The command

<!-- Written by docs/generate-reference.ts from cli/program.ts and cli/reference.ts: edit there. -->

\`skewer\` is one command with subcommands; \`skewer --help\` and \`skewer <command> --help\` say the same as this page.
Results go to stdout, as a table on a terminal, as lines parted by tabs into a pipe, as JSON with \`--json\`. Everything else
goes to stderr. \`NO_COLOR\` turns colours off.

## First steps

\`\`\`sh
skewer run --dev                     # a gateway with development logins, on this machine only
skewer init                          # skewer.yaml with keys of its own, readable by you only
skewer check                         # what is wrong with it, by line and column
skewer run                           # the gateway by that file
skewer token --user ana              # a login by what the file accepts
skewer health && skewer session list # over the admin port
\`\`\`

## Exit codes

| code | means |
| --- | --- |
| 0 | done; of \`run\`: stopped in order |
| 1 | failed while running: a port is taken, no gateway answers, \`health\`: not ready |
| 2 | wrong usage or configuration: the same again fails the same, so no supervisor should restart it |
| 3 | \`run\`: the drain's deadline passed with clients left |

## Signals of \`run\`

| signal | does |
| --- | --- |
| SIGTERM, SIGINT | drain: stop accepting, tell clients to attach elsewhere, let them go, exit |
| the second one | end at once |
| SIGHUP | read the configuration file again; without one, end at once, as by default |

## The admin port

\`health\`, \`stats\`, \`session\`, \`host\`, \`reload\`, \`config diff\` and \`drain\` ask a running gateway: the one at \`--admin\`, else at \`$SKEWER_ADMIN\`, else
at what the configuration file says, else at http://127.0.0.1:9902. The token is \`$SKEWER_ADMIN_TOKEN\`, else the one of the
configuration file; it is no option, because other users of the machine can read the arguments of a process.

## Where Node is too old

skewer needs Node 24.18, or 26.5, or newer. On an older one the command starts the Node that came with the package, passes
SIGTERM, SIGINT, SIGHUP and SIGUSR2 on to it, and ends with its exit code or signal. (SIGKILL cannot be passed on: a
supervisor that uses it should start \`skewer\` with a new Node itself.)
`

export function cliDocsMarkdown(program: Command): string {
  return [INTRODUCTION, '## Commands\n', ...program.commands.flatMap((command) => sections(command, 'skewer'))].join(
    '\n',
  )
}

function sections(command: Command, parent: string): string[] {
  const name = `${parent} ${command.name()}`
  const inner = command.commands.flatMap((one) => sections(one, name))
  // A group does nothing by itself; one that has arguments of its own does.
  return command.commands.length > 0 && command.registeredArguments.length === 0
    ? inner
    : [own(command, name), ...inner]
}

function own(command: Command, name: string): string {
  const given = command.registeredArguments.map((argument) => {
    const text = `${argument.name()}${argument.variadic ? '...' : ''}`
    return argument.required ? `<${text}>` : `[${text}]`
  })
  const usage = [name, ...(command.options.length > 0 ? ['[options]'] : []), ...given].join(' ')
  const says = `${command.description().charAt(0).toUpperCase()}${command.description().slice(1)}.`
  const rows = [
    ...command.registeredArguments.map((argument) => row(argument.name(), argument.description, argument.argChoices)),
    ...command.options.map((option) => row(option.flags, option.description, option.argChoices)),
  ]
  const table = rows.length > 0 ? `\n| | |\n| --- | --- |\n${rows.join('\n')}\n` : ''
  return `### ${name}\n\n\`${usage}\`\n\n${says}\n${table}`
}

function row(name: string, description: string, choices: readonly string[] | undefined): string {
  const what = choices ? `${description} (${choices.join(', ')})` : description
  return `| \`${name}\` | ${what.replaceAll('|', '\\|')} |`
}
