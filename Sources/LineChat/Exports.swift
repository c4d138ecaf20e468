// `import LineChat` is enough for those who use the library: names, addresses and messages are part of
// what it promises.

@_exported import LineChatCore
@_exported import LineProtocol
