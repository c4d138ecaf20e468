# Of nodes.csv
data = file("nodes")
# What all receivers have shown; the way is direct or relayed.
shown(way, under, value) = strstrt(strcol("setting"), "shown") == 1 && column("window") == under \
  ? of(way, value) : NaN
set multiplot @panels2 title "From node to node, on everybody's disk: directly, and through the server (texts of 64 B)"
set logscale xy
set xlabel "receivers"
set xtics (1, 10, 50)
set xrange [0.8:70]
set title "How fast"
set ylabel "deliveries per second"
# The windows that were measured.
windows = system(sprintf("sed -n 's/.*window \\([0-9]*\\).*/\\1/p' '%s' | sort -nu | tr '\\n' ' '", data))
plot for [i = 1:words(windows)] data \
  using "receivers":(shown("direct", word(windows, i) + 0, column("per second"))) \
  with linespoints linestyle 1 pointtype 2 * i + 3 dashtype i title sprintf("direct, %s under way", word(windows, i)), \
  for [i = 1:words(windows)] data \
  using "receivers":(shown("relayed", word(windows, i) + 0, column("per second"))) \
  with linespoints linestyle 3 pointtype 2 * i + 2 dashtype i title sprintf("relayed, %s under way", word(windows, i))
set title "How long"
set ylabel "delay, median, µs"
set format y "%g"
plot for [i = 1:words(windows)] data \
  using "receivers":(shown("direct", word(windows, i) + 0, column("p50 us"))) \
  with linespoints linestyle 1 pointtype 2 * i + 3 dashtype i notitle, \
  for [i = 1:words(windows)] data \
  using "receivers":(shown("relayed", word(windows, i) + 0, column("p50 us"))) \
  with linespoints linestyle 3 pointtype 2 * i + 2 dashtype i notitle
unset multiplot
