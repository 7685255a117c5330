class EchoHandler {
  async say({ m }) {
    return { m }
  }
}

exports.default = () => new EchoHandler()
