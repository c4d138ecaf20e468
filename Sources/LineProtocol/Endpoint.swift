// Where a member is, and how lines name members: addresses with ports, places, and the words that
// stand behind JOIN, PM and ACK. All are plain values without memory of their own. Each is read
// from the bytes of a line in one way only, and written as it would be read.

/// A literal IP address and a port: `1.2.3.4:5001`, `[::1]:5001`. Nothing is looked up.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible, Comparable, WireWord {
  /// Where the host is.
  public let address: IPAddress

  /// 1…65535.
  public let port: UInt16

  static let byteCountMax = WireLimits.endpointBytes

  /// Nil if `port` is 0.
  public init?(address: IPAddress, port: UInt16) {
    guard port > 0 else { return nil }
    self.address = address
    self.port = port
  }

  /// The endpoint that `text` writes, or nil: the port in canonical decimal, from 1 to 65535.
  public init?(_ text: some StringProtocol) {
    guard let endpoint = withBytes(of: text, { Endpoint(bytes: $0) }) else { return nil }
    self = endpoint
  }

  package init?(bytes: UnsafeRawBufferPointer) {
    guard let colon = bytes.lastIndex(of: 0x3A),
      let port = Endpoint.port(bytes.part(colon + 1..<bytes.count))
    else { return nil }
    let host = bytes.part(0..<colon)
    let isBracketed = host.count >= 2 && host[0] == 0x5B && host[host.count - 1] == 0x5D
    let literal = isBracketed ? host.part(1..<host.count - 1) : host
    // Brackets where there are colons, and only there.
    guard literal.contains(0x3A) == isBracketed, let address = IPAddress(bytes: literal) else {
      return nil
    }
    self.init(address: address, port: port)
  }

  /// A port from 1 to 65535 in canonical decimal, or nil.
  static func port(_ bytes: UnsafeRawBufferPointer) -> UInt16? {
    guard let number = bytes.decimal(upTo: 65_535), number > 0 else { return nil }
    return UInt16(truncatingIfNeeded: number)
  }

  public var description: String { text }

  /// By address, then by port.
  public static func < (left: Endpoint, right: Endpoint) -> Bool {
    (left.address, left.port) < (right.address, right.port)
  }

  func write(to place: UnsafeMutableRawPointer) -> Int {
    var count = 0
    if !address.isIPv4 { count += place.write(byte: 0x5B) }
    count += address.write(to: place + count)
    if !address.isIPv4 { count += (place + count).write(byte: 0x5D) }
    count += (place + count).write(byte: 0x3A)
    return count + (place + count).write(decimal: UInt64(port))
  }
}

/// Where a member is reached: over its connection to the server, or at an address of its own.
public enum Place: Hashable, Sendable, CustomStringConvertible, WireWord {
  case relay
  case direct(Endpoint)

  static let byteCountMax = Endpoint.byteCountMax

  /// The place that `text` writes (`relay`, `1.2.3.4:5001`), or nil.
  public init?(_ text: some StringProtocol) {
    guard let place = withBytes(of: text, { Place(bytes: $0) }) else { return nil }
    self = place
  }

  package init?(bytes: UnsafeRawBufferPointer) {
    if bytes.isLike("relay") {
      self = .relay
    } else if let endpoint = Endpoint(bytes: bytes) {
      self = .direct(endpoint)
    } else {
      return nil
    }
  }

  public var description: String { text }

  func write(to place: UnsafeMutableRawPointer) -> Int {
    switch self {
    case .relay: place.write(word: "relay")
    case .direct(let endpoint): endpoint.write(to: place)
    }
  }
}

/// A member by name and place: `alice@10.0.0.2:5001`, `bob@relay`. The source of a delivery.
public struct Member: Hashable, Sendable, CustomStringConvertible, WireWord {
  /// Who it is.
  public var name: MemberName

  /// Where to reach it.
  public var place: Place

  static let byteCountMax = MemberName.byteCountMax + 1 + Place.byteCountMax

  /// A member of these two parts; any two go together.
  public init(name: MemberName, place: Place) {
    self.name = name
    self.place = place
  }

  /// The member that `text` writes, or nil.
  public init?(_ text: some StringProtocol) {
    guard let member = withBytes(of: text, { Member(bytes: $0) }) else { return nil }
    self = member
  }

  package init?(bytes: UnsafeRawBufferPointer) {
    guard let at = bytes.place(of: 0x40),
      let name = MemberName(bytes: bytes.part(0..<at)),
      let place = Place(bytes: bytes.part(at + 1..<bytes.count))
    else { return nil }
    self.init(name: name, place: place)
  }

  public var description: String { text }

  func write(to place: UnsafeMutableRawPointer) -> Int {
    var count = name.write(to: place)
    count += (place + count).write(byte: 0x40)
    return count + self.place.write(to: place + count)
  }
}

/// The place that a `JOIN` asks for: `relay`, `1.2.3.4:5001`, or `:5001`, which means "my address
/// as you see it, port 5001".
public enum Placement: Hashable, Sendable, CustomStringConvertible, WireWord {
  case relay
  /// 1…65535.
  case port(UInt16)
  case endpoint(Endpoint)

  static let byteCountMax = Endpoint.byteCountMax

  /// The placement that `text` writes, or nil.
  public init?(_ text: some StringProtocol) {
    guard let placement = withBytes(of: text, { Placement(bytes: $0) }) else { return nil }
    self = placement
  }

  package init?(bytes: UnsafeRawBufferPointer) {
    if bytes.first == 0x3A {
      guard let port = Endpoint.port(bytes.part(1..<bytes.count)) else { return nil }
      self = .port(port)
    } else if let place = Place(bytes: bytes) {
      switch place {
      case .relay: self = .relay
      case .direct(let endpoint): self = .endpoint(endpoint)
      }
    } else {
      return nil
    }
  }

  public var description: String { text }

  func write(to place: UnsafeMutableRawPointer) -> Int {
    switch self {
    case .relay: place.write(word: "relay")
    case .port(let port):
      place.write(byte: 0x3A) + (place + 1).write(decimal: UInt64(port))
    case .endpoint(let endpoint): endpoint.write(to: place)
    }
  }
}

/// To whom a `PM` goes: a name, an address, or both.
public enum Recipient: Hashable, Sendable, CustomStringConvertible, WireWord {
  case name(MemberName)
  case endpoint(Endpoint)
  case member(Member)

  static let byteCountMax = Member.byteCountMax

  /// The recipient that `text` writes, or nil.
  public init?(_ text: some StringProtocol) {
    guard let recipient = withBytes(of: text, { Recipient(bytes: $0) }) else { return nil }
    self = recipient
  }

  package init?(bytes: UnsafeRawBufferPointer) {
    if let name = MemberName(bytes: bytes) {
      self = .name(name)
    } else if let endpoint = Endpoint(bytes: bytes) {
      self = .endpoint(endpoint)
    } else if let member = Member(bytes: bytes) {
      self = .member(member)
    } else {
      return nil
    }
  }

  public var description: String { text }

  func write(to place: UnsafeMutableRawPointer) -> Int {
    switch self {
    case .name(let name): name.write(to: place)
    case .endpoint(let endpoint): endpoint.write(to: place)
    case .member(let member): member.write(to: place)
    }
  }
}

/// What an `ACK` is for: the word after the verb in the line acknowledged, so a group's name or a
/// recipient. A member's name cannot be told from a group's here, and both are `named`.
public enum Destination: Hashable, Sendable, CustomStringConvertible, WireWord {
  case named(GroupName)
  case endpoint(Endpoint)
  case member(Member)

  static let byteCountMax = Member.byteCountMax

  /// The destination of a `PM` to `recipient`.
  public init(_ recipient: Recipient) {
    switch recipient {
    case .name(let name): self = .named(GroupName(name))
    case .endpoint(let endpoint): self = .endpoint(endpoint)
    case .member(let member): self = .member(member)
    }
  }

  /// The destination that `text` writes, or nil.
  public init?(_ text: some StringProtocol) {
    guard let destination = withBytes(of: text, { Destination(bytes: $0) }) else { return nil }
    self = destination
  }

  package init?(bytes: UnsafeRawBufferPointer) {
    if let name = GroupName(bytes: bytes) {
      self = .named(name)
    } else if let endpoint = Endpoint(bytes: bytes) {
      self = .endpoint(endpoint)
    } else if let member = Member(bytes: bytes) {
      self = .member(member)
    } else {
      return nil
    }
  }

  public var description: String { text }

  func write(to place: UnsafeMutableRawPointer) -> Int {
    switch self {
    case .named(let name): name.write(to: place)
    case .endpoint(let endpoint): endpoint.write(to: place)
    case .member(let member): member.write(to: place)
    }
  }
}
