// swift-tools-version: 6.2

import PackageDescription

// Arrows point one way: linechatd, linechat -> LineChat -> LineChatCore -> LineProtocol; what the two
// programs have in common is in CommandLineSupport. The shell stands on top: linechat -> LineShell ->
// LineChat; only there is GNU readline linked, whose licence is the GPL. LineTools is what the commands
// for scripts do with text, without a socket or a file. The simulator stands beside
// LineChat: linechat-sim -> LineChatSimulation -> LineChatCore.
// The pure targets (LineProtocol, LineChatCore) know no clock, no socket and no file.

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

let package = Package(
  name: "linechat",
  products: [
    .library(name: "LineChat", targets: ["LineChat", "LineChatCore", "LineProtocol"]),
    .executable(name: "linechatd", targets: ["linechatd"]),
    .executable(name: "linechat", targets: ["linechat"]),
    // For Tests/Fuzz, a package of its own.
    .library(name: "LineChatFuzzing", targets: ["LineChatFuzzing"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
  ],
  targets: [
    .target(name: "CSystem"),
    .target(name: "LineProtocol", swiftSettings: strict),
    .target(
      name: "LineChatCore",
      dependencies: [
        "LineProtocol",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
      ],
      swiftSettings: strict),
    .target(
      name: "LineChat",
      dependencies: [
        "CSystem",
        "LineChatCore",
        "LineProtocol",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .target(
      name: "CommandLineSupport",
      dependencies: [
        "LineChat",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "linechatd",
      dependencies: [
        "CommandLineSupport",
        "LineChat",
        "LineProtocol",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .target(name: "LineTools", dependencies: ["LineChatCore", "LineProtocol"], swiftSettings: strict),
    .executableTarget(
      name: "linechat",
      dependencies: [
        "CommandLineSupport",
        "CSystem",
        "LineChat",
        "LineShell",
        "LineTools",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "linechat-kit",
      dependencies: [.product(name: "ArgumentParser", package: "swift-argument-parser")],
      swiftSettings: strict),
    // For long runs of the programs themselves; they lie beside it where it is built with them.
    .executableTarget(
      name: "linechat-chaos",
      dependencies: [
        "CommandLineSupport",
        "LineChat",
        "LineChatCore",
        "LineProtocol",
        "TestSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "uptime-bot", dependencies: ["LineChat"], path: "examples/bot", swiftSettings: strict),
    .systemLibrary(name: "CReadline", providers: [.apt(["libreadline-dev"])]),
    .target(
      name: "LineShell",
      dependencies: [
        "CReadline", "CSystem", "LineChat", "LineChatCore", "LineProtocol",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .target(
      name: "LineChatSimulation",
      dependencies: [
        "LineChatCore",
        "LineProtocol",
        .product(name: "HeapModule", package: "swift-collections"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "linechat-sim",
      dependencies: [
        "LineChatSimulation",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .target(
      name: "LineChatFuzzing",
      dependencies: ["LineChatCore", "LineChatSimulation", "LineProtocol"], swiftSettings: strict),
    .testTarget(
      name: "LineProtocolTests", dependencies: ["LineChatFuzzing", "LineProtocol"],
      swiftSettings: strict),
    .testTarget(
      name: "LineChatCoreTests",
      dependencies: ["LineChatCore", "LineChatFuzzing", "LineChatSimulation", "LineProtocol"],
      swiftSettings: strict),
    .testTarget(
      name: "SimulationTests", dependencies: ["LineChatSimulation"], swiftSettings: strict),
    .testTarget(
      name: "LineChatTests",
      dependencies: ["LineChat", "LineChatCore", "LineProtocol", "CSystem", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "LineShellTests",
      dependencies: [
        "CSystem", "LineChat", "LineChatCore", "LineProtocol", "LineShell", "ShellFixture",
        "TestSupport",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "ShellFixture", dependencies: ["LineChat", "LineShell"], path: "Tests/ShellFixture",
      swiftSettings: strict),
    .target(
      name: "TestSupport",
      dependencies: [
        "CSystem", "LineChat", "LineChatCore", "LineProtocol",
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/TestSupport", swiftSettings: strict),
    .testTarget(
      name: "ProtocolTests",
      dependencies: ["LineChatCore", "LineProtocol", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "NodeTests",
      dependencies: [
        "LineChat", "TestSupport", "linechat", "linechat-chaos", "linechatd", "uptime-bot",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "ChatTests",
      dependencies: ["LineChat", "TestSupport", "linechat"], swiftSettings: strict),
    .testTarget(
      name: "ToolTests",
      dependencies: [
        "LineChat", "LineChatCore", "LineProtocol", "LineTools", "TestSupport", "linechat",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "AbuseTests",
      dependencies: ["LineChat", "LineProtocol", "TestSupport", "linechat", "linechatd"],
      swiftSettings: strict),
    .testTarget(
      name: "DocumentTests", dependencies: ["TestSupport", "linechat", "linechatd", "uptime-bot"],
      swiftSettings: strict),
    .testTarget(
      name: "NetcatTests",
      dependencies: ["TestSupport", "linechat", "linechat-kit", "linechatd"],
      swiftSettings: strict),
  ]
)
