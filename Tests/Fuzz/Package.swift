// swift-tools-version: 6.2

import PackageDescription

// The fuzzer: libFuzzer, which comes with the compiler, around what Sources/LineChatFuzzing feeds. A
// package of its own, as it only links with the flags that run.sh gives.

let package = Package(
  name: "linechat-fuzz",
  dependencies: [.package(name: "linechat", path: "../..")],
  targets: [
    .executableTarget(
      name: "linechat-fuzz",
      dependencies: [.product(name: "LineChatFuzzing", package: "linechat")],
      swiftSettings: [.treatAllWarnings(as: .error), .unsafeFlags(["-parse-as-library"])])
  ]
)
