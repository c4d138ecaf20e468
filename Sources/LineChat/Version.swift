/// The version of LineChat, as `INFO` and `--version` tell it.
public let lineChatVersion = "0.1.0"
