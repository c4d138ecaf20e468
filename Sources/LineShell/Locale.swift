// The character set. Everything here is UTF-8: the wire, the journal, and what a terminal of today
// sends. Readline asks the C library how many bytes a character has, and that goes by the locale;
// under LANG=C, or none at all as in a bare container, each byte would be a character, an umlaut two
// keys wide, and every second backspace would leave half of it. So where the environment names a
// locale without UTF-8, C.UTF-8 is taken for characters; nothing else of the locale is touched.

import Glibc

enum Locale {
  /// To be called before other threads look at the environment: readline reads the locale from there
  /// again and again, so that is where it has to be changed. False: there is no such locale here.
  static func ensureUTF8() -> Bool {
    if setlocale(LC_CTYPE, "") != nil, isUTF8 { return true }
    for name in ["C.UTF-8", "C.utf8", "en_US.UTF-8"] where setlocale(LC_CTYPE, name) != nil {
      guard isUTF8 else { continue }
      // LC_ALL rules where it is set.
      setenv(getenv("LC_ALL").map { $0[0] != 0 } ?? false ? "LC_ALL" : "LC_CTYPE", name, 1)
      return true
    }
    return false
  }

  private static var isUTF8: Bool {
    nl_langinfo(Int32(CODESET)).map { String(cString: $0).uppercased() == "UTF-8" } ?? false
  }
}
