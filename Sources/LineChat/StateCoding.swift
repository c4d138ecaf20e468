// The owner's state as the JSON of a snapshot, and back. Sorted and indented: a person reads it, and
// two of them can be compared.

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

package enum StateCoding {
  package static func encode(_ state: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(state))
  }

  /// `content` may hold members that `State` does not know, as a snapshot's file does.
  package static func decode<State: Decodable>(
    _ type: State.Type, from content: [UInt8]
  ) throws -> State {
    try JSONDecoder().decode(type, from: Data(content))
  }
}
