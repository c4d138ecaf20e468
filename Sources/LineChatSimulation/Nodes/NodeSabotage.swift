// Faults put in at a node's boundary, to prove that the checkers find them.

import LineChatCore

package enum NodeSabotage: String, CaseIterable, Sendable {
  case forgetTick, forgetReset, believeEverybody
}
