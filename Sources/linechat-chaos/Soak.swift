import ArgumentParser
struct Soak: ParsableCommand { @Option var minutes = 60.0 }
