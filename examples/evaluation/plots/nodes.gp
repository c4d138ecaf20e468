# Of nodes.csv
data = file("nodes")
# The windows that were measured.
windows = system(sprintf("sed -n 's/.*window \\([0-9]*\\).*/\\1/p' '%s' | sort -nu | tr '\\n' ' '", data))
ways = "direct relayed"
line(way) = way eq "direct" ? 1 : 4
point(way, i) = way eq "direct" ? 2 * i + 3 : 2 * i + 2
# Of what all receivers have shown.
shown(way, i, value) = strstrt(strcol("setting"), "shown") == 1 \
  && column("window") == word(windows, i) + 0 ? of(way, value) : NaN
set multiplot @panels2 title "From node to node, on everybody's disk: directly, and through the server (texts of 64 B)"
set logscale xy
set xlabel "receivers"
set xtics (1, 10, 50)
set xrange [0.8:70]
set title "How fast"
set ylabel "deliveries per second"
plot for [way in ways] for [i = 1:words(windows)] data \
  using "receivers":(shown(way, i, column("per second"))) \
  with linespoints linestyle line(way) pointtype point(way, i) dashtype i notitle
set title "How long"
set ylabel "delay, median, µs"
plot for [way in ways] for [i = 1:words(windows)] data \
  using "receivers":(shown(way, i, column("p50 us"))) \
  with linespoints linestyle line(way) pointtype point(way, i) dashtype i notitle
@legend
plot for [way in ways] for [i = 1:words(windows)] NaN \
  with linespoints linestyle line(way) pointtype point(way, i) dashtype i \
  title sprintf("%s, %s under way", way, word(windows, i))
unset multiplot
