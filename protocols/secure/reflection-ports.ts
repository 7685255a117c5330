// Source ports from which no client comes, but the replies of services that reflect: answering them would make the
// gateway one more hop of an attack on whoever was named as sender (docs/spec/datagram.md, section 4).
//
// None from 32,768 on, where systems take the ports of their clients: of 8,000 sockets of one machine every other run had one
// there, and that player met silence. Whoever is answered for such a service gets fewer bytes than he was sent in its name.

const ports = [
  0, 7, 13, 17, 19, 53, 69, 111, 123, 137, 138, 161, 162, 389, 427, 500, 520, 751, 1434, 1900, 3283, 3478, 3702, 5060,
  5093, 5351, 5353, 5683, 10_001, 11_211, 27_960, 30_718, 32_414,
]
const isListed = new Uint8Array(65_536)
for (const port of ports) isListed[port] = 1

/** Whether datagrams that claim to come from this port are dropped unread ([DGM-4.6]). */
export const isReflectionPort = (port: number): boolean => isListed[port] === 1
