# Of members.csv
data = file("members")
cost(who, under) = column("window") == under ? of(who, column("CPU s per million")) : NaN
set multiplot layout 1,2 title "One speaks: what a delivery costs the server, by how many hear (texts of 64 B)"
set logscale xy
set xlabel "receivers"
set xtics (10, 100, 1000)
set xrange [7:1400]
set ylabel "processor time for a delivery, µs"
set format y "%g"
set title "256 messages under way"
set key top right
plot for [who in present(data)] data using "receivers":(cost(who, 256)) \
  with linespoints linestyle look(who) title called(who)
set title "One message at a time"
plot for [who in present(data)] data using "receivers":(cost(who, 1)) \
  with linespoints linestyle look(who) title called(who)
unset multiplot
