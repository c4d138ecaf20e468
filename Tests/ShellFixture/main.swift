// A program around LineShell's terminal, for tests: it shows each event as a line, and does what it is
// told through a named pipe (FIXTURE_CONTROL), a command a line, while somebody types.
//
//     print TEXT        shows a line              flood COUNT RATE   shows so many, so many a second
//     dim TEXT          the same, dim             prompt TEXT        sets the prompt
//     raw HEX           a line of these bytes     type TEXT          sets the text being typed
//     indent N TEXT     set in where it is cut    bell, clear, stop, pause, go, no-completion
//     exit, crash, recurse, hang: ends, or does not, as programs should not
//
// A line that is entered is carried out too if it begins with a slash.

Fixture.run()
