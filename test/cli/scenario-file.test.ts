import { fileURLToPath } from 'node:url'
import t from 'tap'
import { planNames } from '../../bench/options.ts'
import { readScenario, readScenarioText } from '../../cli/scenario-file.ts'
import { problemText } from '../../config/problems.ts'
import { readText } from '../house/sources.ts'

const said = (text: string): string[] => {
  const read = readScenarioText(text, 'day.yaml')
  return 'problems' in read ? read.problems.map(problemText) : []
}
const phases = 'phases: [{ name: all, for: 1s, clients: 1 }]\n'

t.test('the scenarios that are ours load', async (t) => {
  for (const name of planNames) {
    const read = readScenario(fileURLToPath(new URL(`../../bench/plans/${name}.yaml`, import.meta.url)))
    t.match(read, { plan: { name } }, name)
  }
})

t.test('the scenario of the guide loads, and says what the guide says', async (t) => {
  const [, text] = /^```yaml\n(.*?)^```$/ms.exec(readText('docs/load-tests.md'))!
  const read = readScenarioText(text, 'evening.yaml')
  t.match(read, {
    plan: {
      name: 'evening',
      transports: [
        { transport: 'tcp', share: 0.6 },
        { transport: 'websocket', share: 0.4 },
      ],
      roomClients: 50,
      messages: [
        { name: 'moves', kind: 'latest', rate: 10, payloadBytes: { min: 24, max: 24 } },
        { name: 'chat', kind: 'reliable', thinkMs: { min: 2000, max: 8000 }, payloadBytes: { min: 20, max: 200 } },
        { name: 'shop', kind: 'call', thinkMs: { min: 10_000, max: 10_000 }, payloadBytes: { min: 64, max: 64 } },
        { name: 'shouts', kind: 'broadcast', rate: 0.1 },
      ],
    },
  })
  t.match('plan' in read && read.plan.phases, [
    { name: 'logins', forMs: 10_000, clients: 1000, isRamp: true, pace: 1, cuts: 0 },
    { name: 'evening', isRamp: false },
    { name: 'final', clients: 1500, pace: 2 },
    { name: 'badNetworks', cuts: 50 },
    { name: 'visitors', stayMs: { min: 2000, max: 10_000 } },
  ])
  const mistaken = text.replace('kind: reliable', 'kind: lastest')
  const [, complaint] = /^```\n(evening\.yaml.*?)\n```$/ms.exec(readText('docs/load-tests.md'))!
  const again = readScenarioText(mistaken, 'evening.yaml')
  t.equal('problems' in again && problemText(again.problems[0]), complaint)
})

t.test('everything that is wrong is told at once, with its place', async (t) => {
  const text = `transports: { tcp: 50%, websokket: 50% }
room: 0
messages:
  moves: { kind: latest, rate: 10 }
  chat: { kind: reliable, think: [3s, 1s], payload: 8B }
phases:
  - { name: all, for: 1, clients: many, pace: -1 }
colour: red
`
  t.match(said(text), [
    /^day.yaml:1:25: transports.websokket: is not a key of this mapping/,
    /^day.yaml:2:7: room: is too small; got 0; expected at least 1/,
    /^day.yaml:4:32: messages.moves.rate: is not a rate; got 10; expected a rate such as 10\/s or 6\/min/,
    /^day.yaml:5:34: messages.chat.think: is a range whose end is before its beginning; got 3s to 1s/,
    /^day.yaml:5:53: messages.chat.payload: is too small; got 8B; expected at least 16B/,
    /^day.yaml:7:23: phases\[0\].for: is not a duration; got 1; .* did you mean 1s\?/,
    /^day.yaml:7:35: phases\[0\].clients: has the wrong type; got text many; expected a whole number/,
    /^day.yaml:7:47: phases\[0\].pace: is too small; got -1; expected at least 0/,
    /^day.yaml:8:1: colour: is not a key of a scenario; expected one of transports, room, messages, phases/,
  ])
})

t.test('what holds between keys is checked, too', async (t) => {
  t.match(said(`transports: { tcp: 50%, kcp: 40% }\nmessages: { chat: { kind: call, rate: 1/s } }\n${phases}`), [
    /^day.yaml:1:13: transports: the shares do not make a whole; got 90%; expected 100%/,
  ])
  t.match(said(`messages: { a: { kind: call }, b: { kind: call, rate: 1/s, think: 1s } }\n${phases}`), [
    /messages.a: has neither a rate nor a think time/,
    /messages.b: has a rate and a think time/,
  ])
  t.match(said(`messages: {}\nphases: [{ name: a, for: 1s, clients: 0 }, { name: a, for: 1s, clients: 0 }]`), [
    /^day.yaml:1:11: messages: nobody says anything/,
    /^day.yaml:2:9: phases: nobody ever comes/,
    /^day.yaml:2:52: phases\[1\].name: there is a phase of this name already/,
  ])
  t.match(said('messages: ['), [/^day.yaml:1:/])
})
