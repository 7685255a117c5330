// The configuration reference (docs/configuration.md), made from the schema so that it cannot be out of date: one section
// for each key of the file, one table row for each key below it.
import { defaultConfigYaml } from './default-config.ts'
import { type JsonSchema, configJsonSchema } from './json-schema.ts'
import { POLICIES } from './schema-policies.ts'

const INTRODUCTION = `# Configuration

This page is made by \`skewer config docs\` from the schema that the gateway checks the file against.

skewer reads one YAML file: the one named by \`--config\`, else by \`$SKEWER_CONFIG\`, else \`./skewer.yaml\`, else
\`/etc/skewer/skewer.yaml\`. Without any, the built-in configuration holds, which \`skewer config default\` prints:

\`\`\`yaml
${defaultConfigYaml().trimEnd()}
\`\`\`

\`skewer check\` tells everything that is wrong with a file, by line and column, without starting anything.
\`skewer init\` writes a file with keys of its own and \`skewer.schema.json\` beside it, by which editors complete and check
while one types. \`examples/config/\` has files for development, for production with TLS and JWT, and for several hosts.

## How values are written

| kind | written as | notes |
| --- | --- | --- |
| duration | \`500ms\`, \`30s\`, \`2m\`, \`1h30m\`, \`12h\`, \`7d\` | the unit is required |
| size | \`512B\`, \`64KiB\`, \`1.5MiB\`, \`2GiB\` | the unit is required; KiB is 1024 bytes |
| rate | \`50/s\`, \`600/min\`, \`100/h\`, \`50/s burst 100\` | a token bucket; the burst is one second's worth unless written |
| reference | \`\${env:NAME}\`, \`\${file:path}\` | in any value; files are read from the configuration's folder on, their last line end is cut; \`$\${\` is a plain \`\${\` |
| flag | \`true\`, \`false\` | |

An unknown key is an error, and so is a key that is written twice. A file is at most 1 MiB, its aliases stand for at most
100 nodes. Secrets may stand in the file as they are (then keep it to its owner: \`chmod 600\`), better as references; no
dump, log or complaint ever shows them.
`

const RULES = `## What is checked between keys

- Two \`heartbeat\`, \`backoffMax\` and \`parkMax\` add up to less than \`keep\` (O1): else sessions end while they are being repaired.
- \`windowBytes\` and \`replyBytesMax\` fit \`grantedBytesMax\`, which is below \`connectionBytesMax\`, which fits \`queueBytesMax\` (W5).
- A quarter of \`windowBytes\`, the largest message, fits a frame; frames before login are not larger than those after.
- Routes name services that are declared; a route that an earlier one hides is warned of.
- Names of listeners and hosts are unique, addresses and ports do not collide.
- Certificates and keys exist, parse, and belong together; expired ones are warned of.
- Hosts beyond this machine need \`linkKey\` or certificates (L4), an admin port beyond it needs \`token\`.
- Development authentication beyond this machine must be written out, and is warned of; so are listeners without encryption
  that do not say \`security: none\`.
`

export function configDocsMarkdown(): string {
  const schema = configJsonSchema()
  const keys = Object.entries(schema.properties!)
  const plain = keys.filter(([, value]) => rowsOf(value, '').length === 0)
  const sections = keys.filter(([, value]) => rowsOf(value, '').length > 0)
  const top = plain.map(([key, value]) => row(key, value, schema))
  return [
    INTRODUCTION,
    `## The file itself\n\n${table(top)}`,
    ...sections.map(([key, value]) => section(key, value)),
    RULES,
  ].join('\n')
}

function section(key: string, schema: JsonSchema): string {
  const shape = schema.items ? ' A list of mappings.' : isNamed(schema) ? ' A mapping from names.' : ''
  return `## ${key}\n\n${schema.description ?? ''}${shape}\n\n${table(rowsOf(schema, ''))}`
}

/** Rows of everything below a schema: of a list its entries' keys, of a mapping from names the values' keys. */
function rowsOf(schema: JsonSchema, prefix: string): string[] {
  const inner = innerOf(schema)
  return Object.entries(inner.properties ?? {}).flatMap(([key, value]) => {
    const name = prefix + key
    // Policies are described once, in a section of their own.
    const isToldElsewhere = value.title === POLICIES
    const below =
      isToldElsewhere || (value.type !== 'object' && !value.items) ? [] : rowsOf(value, prefixOf(value, name))
    return [row(name, value, inner), ...below]
  })
}

function prefixOf(value: JsonSchema, name: string): string {
  if (value.items) return `${name}[].`
  return isNamed(value) ? `${name}.<name>.` : `${name}.`
}

function innerOf(schema: JsonSchema): JsonSchema {
  const entries = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : schema
  const inner = schema.items ?? entries
  return inner.anyOf?.find((option) => option.properties) ?? inner
}

function isNamed(schema: JsonSchema): boolean {
  return typeof schema.additionalProperties === 'object'
}

function row(name: string, schema: JsonSchema, parent: JsonSchema): string {
  const isRequired = parent.required?.includes(name.split('.').at(-1)!) && schema.default === undefined
  const isSimple = schema.default !== undefined && typeof schema.default !== 'object'
  const standard = isRequired ? 'required' : isSimple ? `\`${schema.default}\`` : ''
  return `| \`${name}\` | ${valueText(schema)} | ${standard} | ${(schema.description ?? '').replaceAll('|', '\\|')} |`
}

function valueText(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ')
  if (schema.const !== undefined) return `\`${schema.const}\``
  if (schema.items) return schema.items.type === 'object' ? 'list of mappings' : `list of ${valueText(schema.items)}`
  if (isNamed(schema)) return 'mapping from names'
  if (schema.type === 'object') return 'mapping'
  if (schema.type === 'integer') return `${schema.minimum} to ${schema.maximum}`
  if (schema.type === 'boolean') return 'flag'
  if (schema.writeOnly) return 'secret'
  return schema.title ?? 'text'
}

function table(rows: string[]): string {
  return ['| key | value | default | what it is |', '| --- | --- | --- | --- |', ...rows, ''].join('\n')
}
