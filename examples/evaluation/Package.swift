// swift-tools-version: 6.2

import PackageDescription

// The benchmark. A package of its own, so that nobody who embeds the library fetches what only the
// measuring needs. It knows the programs it measures by their command lines and the wire alone.

let package = Package(
  name: "linechat-bench",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: [
    .target(name: "CBench"),
    // C is what it would be written in where nothing but speed counts; -O2 as a release has it.
    .executableTarget(name: "yardstick-relay"),
    .executableTarget(
      name: "linechat-bench",
      dependencies: [
        "CBench",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
      ],
      swiftSettings: [.treatAllWarnings(as: .error)]),
  ]
)
