// `skewer bench` with its arguments, options and subcommands (cli/program.ts has all others).
import { Argument, type Command, InvalidArgumentError, Option } from 'commander'
import {
  type AbuserKind,
  abuserKinds,
  limits,
  overTransports,
  type RivalName,
  rivalNames,
  scenarioNames,
} from '../bench/options.ts'

type Add = (parent: Command, name: string, description: string) => Command
type Does = <A extends unknown[]>(action: (...args: A) => number | Promise<number>) => (...args: A) => Promise<void>

export function addBench(program: Command, add: Add, does: Does): void {
  const scenario = new Argument('<scenario>', `${scenarioNames.join(', ')}, or a file of your own that ends in .yaml`)
  const bench = add(program, 'bench', 'measure a gateway under load, with processes of its own')
    .addArgument(scenario.argParser(readScenarioName))
    .option(
      '--clients <count>',
      'default: 100; idle, broadcast: 1000; abuse: 500; growth: 8000',
      readWithin(limits.clients),
    )
    .option('--depth <count>', 'messages under way for each client; default of the echoes: 1', readWithin(limits.depth))
    .option('--payload <bytes>', 'of a message; default: 64', readWithin(limits.payloadBytes))
    .option(
      '--rate <count>',
      'messages a second of all; default of the echoes: one for each answer; of broadcast: publications, 10',
      readWithin(limits.rate),
    )
    .option(
      '--seconds <count>',
      'how long each turn is measured, or all phases together take; default: 5',
      readWithin(limits.seconds),
    )
    .option(
      '--rounds <count>',
      'how often each subject has its turn; default: 3; of phases: 1',
      readWithin(limits.rounds),
    )
    .option('--warmup <seconds>', 'before each measuring; default: 2', readWithin(limits.warmupSeconds))
    .option(
      '--against <rivals>',
      `of the echoes, http-call, latency and broadcast: ${rivalNames.join(',')}, or some of them`,
      readRivals,
    )
    .option(
      '--link-flush-delay <ms>',
      'how long a link may wait to write more at once; default: 0',
      readWithin(limits.linkFlushDelayMs),
    )
    .option('--workers <count>', 'processes that make the load; default: 1', readWithin(limits.workers))
    .option('--restart', 'of storm: the same gateway is started again; without it there is a second one')
    .option(
      '--slow-percent <count>',
      'of slow-readers: how many of a hundred clients hardly read; default: 20',
      readWithin(limits.slowPercent),
    )
    .addOption(
      new Option('--over <transport>', 'of idle (default: tcp) and broadcast (websocket)').choices(overTransports),
    )
    .option(
      '--target <addresses>',
      'of a gateway that runs already, for the echoes, mixed, churn, soak and files: tcp://host:port,...',
      readList,
    )
    .option(
      '--token <text>',
      'what clients show to a --target; {n} becomes the number of the client; default: bench-{n}',
    )
    .option('--service <name>', 'of --target: whose actors play; default: echo')
    .option('--route-prefix <name>', 'of --target: how the names of its routes begin; default: the service')
    .option('--admin <url>', 'of --target: the admin port that tells its CPU time and memory')
    .option('--abusers <kinds>', `of abuse: ${abuserKinds.join(',')}, or some of them; default: all`, readAbusers)
    .option(
      '--abuse-rate <count>',
      'of abuse: how often a second each abuser tries; default: as often as it can',
      readWithin(limits.abuseRate),
    )
    .option('--html <file>', 'write the report as a page with charts, which needs no network')
    .action(does(async (scenario, flags) => (await import('./commands/bench.ts')).bench(scenario, flags)))

  // The options that it shares with its parent are the parent's.
  add(
    bench,
    'all',
    'run every bar of docs/performance.md, with --seconds, --rounds, --warmup and --html: twenty minutes',
  )
    .option('--only <text>', 'scenarios with this in their name')
    .action(does(async (flags) => (await import('./commands/bench.ts')).all({ ...bench.opts(), ...flags })))

  add(bench, 'compare', 'compare two reports of `--json`, before and after a change')
    .argument('<before>', 'the file of the first')
    .argument('<after>', 'the file of the second')
    .action(does(async (before, after, flags) => (await import('./commands/bench.ts')).compare(before, after, flags)))

  add(bench, 'host', 'run the host that plays with clients of `bench --target`, until a signal comes')
    .option('--listen <address>', 'where gateways dial it; default: 127.0.0.1:7800')
    .option('--name <name>', 'as the configuration of the gateway calls it; default: echo-1')
    .option('--service <name>', 'whose actors it runs; default: echo')
    .option('--route-prefix <name>', 'how the names of its routes begin; default: the service')
    .option('--link-key-env <name>', 'the environment variable with the link key that it shares with the gateway')
    .action(does(async (flags) => (await import('./commands/bench-host.ts')).benchHost({ ...flags, ...bench.opts() })))
}

function readScenarioName(written: string): string {
  if (scenarioNames.some((name) => name === written) || /\.ya?ml$/.test(written)) return written
  throw new InvalidArgumentError(`Allowed choices are ${scenarioNames.join(', ')}, and files that end in .yaml.`)
}

function readWithin({ min, max }: { min: number; max: number }): (written: string) => number {
  return (written) => {
    const value = Number(written)
    if (/^\d{1,7}$/.test(written) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`It is a whole number from ${min} to ${max}.`)
  }
}

function readRivals(written: string): RivalName[] {
  return readSome(written, rivalNames, 'rivals')
}

function readAbusers(written: string): AbuserKind[] {
  return readSome(written, abuserKinds, 'abusers')
}

function readSome<K extends string>(written: string, kinds: readonly K[], what: string): K[] {
  const names = [...new Set(written.split(','))]
  const isOne = (name: string): name is K => kinds.some((kind) => kind === name)
  if (names.every(isOne)) return names
  throw new InvalidArgumentError(`The ${what} are ${kinds.join(', ')}, parted by commas.`)
}

function readList(written: string): string[] {
  return written.split(',').filter((part) => part !== '')
}
