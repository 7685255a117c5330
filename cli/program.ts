// Every command with its arguments and options, in the order of `skewer --help`. What a command does is loaded when it
// runs, so that `--help`, `version` and `check` do not wait for what they do not need.
import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import { addBench } from './bench-program.ts'
import { completion, shells } from './commands/completion.ts'
import { packageVersion } from '../gateway/io/package-version.ts'

/** Of `skewer keygen`. */
const keyKinds = ['secret', 'noise']

/** Returns the exit code. */
type Action<A extends unknown[]> = (...args: A) => number | Promise<number>

export function buildProgram(finish: (code: number) => void): Command {
  const program = new Command('skewer')
  program.description('A network gateway for online games.').version(packageVersion())
  program.helpCommand(false).showHelpAfterError('(--help says more)').exitOverride()

  /** Wraps an action: what it returns is the exit code. */
  const does =
    <A extends unknown[]>(action: Action<A>) =>
    async (...args: A) =>
      finish(await action(...args))

  const add = (parent: Command, name: string, description: string): Command =>
    parent.command(name).description(description).option('--json', 'print JSON')
  const withConfig = (command: Command): Command =>
    command.option(
      '-c, --config <file>',
      'the configuration; default: $SKEWER_CONFIG, ./skewer.yaml, /etc/skewer/skewer.yaml',
    )
  const withAdmin = (command: Command): Command =>
    withConfig(command).option(
      '--admin <url>',
      'the admin port; default: $SKEWER_ADMIN, the configuration, http://127.0.0.1:9902',
    )

  withConfig(add(program, 'run', 'run the gateway in the foreground'))
    .addOption(
      new Option(
        '--last-good [file]',
        'start with the configuration that last worked: `last-good.yaml` of `stateDir`, or this file',
      ).conflicts('dev'),
    )
    .addOption(new Option('--dev', 'without a file: development logins, on this machine only').conflicts('config'))
    .addOption(devOption('--service <names...>', 'services of --dev; default: arena'))
    .addOption(devOption('--host <hosts...>', 'hosts of --dev, as name=address; default: host-1=127.0.0.1:7800'))
    .addOption(devOption('--tcp-port <port>', 'port of --dev; 0 for any free one; default: 7777').argParser(readPort))
    .addOption(devOption('--websocket-port <port>', 'port of --dev; default: 8080').argParser(readPort))
    .addOption(devOption('--admin-port <port>', 'port of --dev; default: 9902').argParser(readPort))
    .action(does(async (flags) => (await import('./commands/run.ts')).run(flags)))

  withConfig(add(program, 'check', 'say what is wrong with a configuration'))
    .argument('[file]', 'the configuration; - reads standard input')
    .action(does(async (file, flags) => (await import('./commands/check.ts')).check(file, flags)))

  withConfig(add(program, 'test', 'try policies out on clients that are played, in virtual time'))
    .argument('[file]', 'what they do and what is expected', 'policies.test.yaml')
    .action(does(async (file, flags) => (await import('./commands/test.ts')).test(file, flags)))

  add(program, 'init', 'write a first configuration with keys of its own')
    .argument('[file]', 'where to', 'skewer.yaml')
    .option('--force', 'replace a file that exists')
    .action(does(async (file, flags) => (await import('./commands/init.ts')).init(file, flags)))

  const config = program.command('config').description('print configurations and what can be said in them')
  const prints = {
    default: 'the built-in one',
    docs: 'the reference page',
    schema: 'the JSON schema, for editors',
  } as const
  for (const what of ['default', 'docs', 'schema'] as const) {
    add(config, what, `print ${prints[what]}`).action(
      does(async (flags) => (await import('./commands/config.ts')).config(what, flags)),
    )
  }
  withConfig(add(config, 'dump', 'print the one in use, with defaults and without secrets')).action(
    does(async (flags) => (await import('./commands/config.ts')).config('dump', flags)),
  )

  withAdmin(add(config, 'diff', 'say what differs between two files, or between the running gateway and a file'))
    .argument('[fileA]', 'alone: compared with the running gateway; default: the one in use here')
    .argument('[fileB]', 'compared with the first')
    .action(does(async (a, b, flags) => (await import('./commands/reload.ts')).diff(a, b, flags)))

  withConfig(add(program, 'token', 'make a login for trying things out'))
    .requiredOption('-u, --user <name>', 'whose login')
    .addOption(
      new Option('--secret-env <name>', 'sign with what this environment variable holds').conflicts('secretFile'),
    )
    .option('--secret-file <file>', 'sign with what this file holds')
    .addOption(
      new Option('--algorithm <name>', 'with --secret-...; default: HS256').choices(['HS256', 'HS384', 'HS512']),
    )
    .option('--expires <duration>', 'how long it holds', '1h')
    .option('--claim <name=value...>', 'further claims', [])
    .option('--issuer <text>', 'its `iss`; default: what the configuration demands')
    .option('--audience <text>', 'its `aud`; default: what the configuration demands')
    .option('--user-claim <name>', 'the claim that holds the user, with --secret-...; default: sub')
    .action(does(async (flags) => (await import('./commands/token.ts')).token(flags)))

  add(program, 'keygen', 'make a key: for `ticketKeys` or `linkKey`, or a key file for `noise`')
    .addArgument(new Argument('[kind]', 'what for').choices(keyKinds).default('secret'))
    .argument('[file]', 'noise: where the private key goes; default: noise.key. The public key is printed')
    .option('--show', 'noise: only print the public key of the file')
    .option('--force', 'noise: replace a file that exists')
    .action(does(async (kind, file, flags) => (await import('./commands/keygen.ts')).keygen(kind, file, flags)))

  add(
    program,
    'accelerate',
    'build the accelerator of TCP, TLS, WebSocket, HTTP and UDP with the C compiler of this machine',
  )
    .option('--check', 'build nothing, say whether it is there; exit code 1 where it is not')
    .addOption(new Option('--remove', 'remove what was built').conflicts('check'))
    .action(does(async (flags) => (await import('./commands/accelerate.ts')).accelerate(flags)))

  withAdmin(add(program, 'health', 'say whether a gateway is ready')).action(
    does(async (flags) => (await import('./commands/operate.ts')).health(flags)),
  )
  withAdmin(add(program, 'stats', "print a gateway's counters")).action(
    does(async (flags) => (await import('./commands/operate.ts')).stats(flags)),
  )
  const session = program.command('session').description('sessions of a gateway')
  withAdmin(add(session, 'list', 'list them'))
    .option('--limit <count>', 'how many at most; default: 100', readCount)
    .action(does(async (flags) => (await import('./commands/operate.ts')).list('sessions', flags)))
  withAdmin(add(session, 'kick', 'end one for good, or all of a user'))
    .argument('[session]', 'as `session list` names it')
    .option('--user <name>', 'all sessions of this user')
    .action(does(async (name, flags) => (await import('./commands/operate.ts')).kick(name, flags)))
  const ban = program.command('ban').description('who is kept out of a gateway')
  withAdmin(add(ban, 'list', 'list the bans')).action(
    does(async (flags) => (await import('./commands/operate.ts')).list('bans', flags)),
  )
  withAdmin(add(ban, 'add', 'keep out a user, an address or a network, and end what is there of it'))
    .argument('<what>', 'user:NAME, an address, or a network such as 10.1.0.0/16')
    .option('--for <duration>', 'for how long; default: 1d')
    .option('--reason <text>', 'shown in the list')
    .action(does(async (what, flags) => (await import('./commands/operate.ts')).ban(what, flags)))
  withAdmin(add(ban, 'rm', 'take a ban back'))
    .argument('<what>', 'as `ban list` names it')
    .action(does(async (what, flags) => (await import('./commands/operate.ts')).unban(what, flags)))
  const host = program.command('host').description('hosts of a gateway')
  withAdmin(add(host, 'list', 'list them')).action(
    does(async (flags) => (await import('./commands/operate.ts')).list('hosts', flags)),
  )
  withAdmin(add(program, 'reload', 'have a gateway read its configuration again'))
    .option('--dry-run', 'only say what would change')
    .action(does(async (flags) => (await import('./commands/reload.ts')).reload(flags)))
  const breaker = program.command('breaker').description('circuit breakers of a gateway')
  withAdmin(add(breaker, 'list', 'breakers and limits of requests under way, with what they count')).action(
    does(async (flags) => (await import('./commands/operate.ts')).list('breakers', flags)),
  )
  for (const [verb, to, says] of [
    ['open', 'open', 'refuse, whatever the outcomes'],
    ['close', 'closed', 'let pass, whatever the outcomes'],
    ['auto', 'auto', 'go by outcomes again; a canary that was rolled back gets new actors again'],
  ] as const) {
    withAdmin(add(breaker, verb, says))
      .argument('<name>', 'as `breaker list` names it: host game-1, service arena, route arena arena.buy')
      .action(does(async (name, flags) => (await import('./commands/operate.ts')).breaker(to, name, flags)))
  }
  withAdmin(add(program, 'drain', 'tell the clients of a gateway to attach elsewhere, then end it'))
    .option('--within <duration>', 'how long they have; default: `times.drain`')
    .action(does(async (flags) => (await import('./commands/operate.ts')).drain(flags)))

  addBench(program, add, does)

  program
    .command('completion')
    .description('print a script that completes commands in a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(shells))
    .action(does((shell) => completion(shell, program)))

  add(program, 'version', 'print the version').action(
    does(async (flags) => (await import('./commands/version.ts')).version(flags)),
  )
  return program
}

function devOption(flags: string, description: string): Option {
  return new Option(flags, description).implies({ dev: true }).conflicts('config')
}

function readCount(written: string): number {
  if (/^[1-9]\d{0,5}$/.test(written)) return Number(written)
  throw new InvalidArgumentError('A count is a number from 1 on.')
}

function readPort(written: string): number {
  const port = Number(written)
  if (/^\d{1,5}$/.test(written) && port <= 65_535) return port
  throw new InvalidArgumentError('A port is a number from 0 to 65535.')
}
