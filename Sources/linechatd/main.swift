print("linechatd")
