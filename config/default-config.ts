// The built-in configuration: what `skewer run` uses where there is no file, what `skewer config default` prints, and,
// with keys made for it, what `skewer init` writes.

const HEAD = `# yaml-language-server: $schema=./skewer.schema.json
# The configuration of skewer. \`skewer check\` tells what is wrong with it, \`skewer config docs\` what else can be said.
version: 1

# Where clients connect. 127.0.0.1 is this machine only; 0.0.0.0 is every address of it.
listeners:
  - { transport: tcp, host: 127.0.0.1, port: 7777 }
  - { transport: websocket, host: 127.0.0.1, port: 8080, path: / }

# What the hosts run. keys: whether a session may attach to any actor, or to the one of its user only.
services:
  arena: { keys: any, whenAway: park }

# The processes that run the actors. The gateway dials them.
hosts:
  - { name: local, address: 127.0.0.1:7800 }

# Which messages go where; first match wins. A rate holds for each session.
routes:
  - { match: arena.*, service: arena }

# Who may log in. development: whoever connects is whom they say they are.
auth:
  development: true
`

export function defaultConfigYaml(): string {
  return HEAD
}

/** The built-in configuration with a ticket key and a link key of its own. */
export function initialConfigYaml(ticketKey: string, linkKey: string): string {
  return `${HEAD}
# Seals tickets: the same key on every gateway. \`skewer keygen\` makes another.
ticketKeys:
  current: ${ticketKey}

# Proves the gateway to its hosts and the hosts to the gateway: give the same to both.
linkKey: ${linkKey}
`
}
