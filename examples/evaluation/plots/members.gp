# Of members.csv
data = file("members")
cost(who, under) = column("window") == under ? of(who, column("CPU s per million")) : NaN
set multiplot @panels2 title "One speaks: what a delivery costs the server, by how many hear (texts of 64 B)"
set logscale xy
set xlabel "receivers"
set xtics (10, 100, 1000)
set xrange [7:1400]
set ylabel "processor time for a delivery, µs"
set format y "%g"
set title "256 messages under way"
plot for [who in present(data)] data using "receivers":(cost(who, 256)) \
  with linespoints linestyle look(who) notitle
set title "One message at a time"
plot for [who in present(data)] data using "receivers":(cost(who, 1)) \
  with linespoints linestyle look(who) notitle
@legend
plot for [who in present(data)] NaN with linespoints linestyle look(who) title called(who)
unset multiplot
