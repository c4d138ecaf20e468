# Of payload.csv
data = file("payload")
set multiplot layout 1,2 title "One speaks, 100 hear, 256 messages under way: how fast, by the size of a text"
set logscale xy
set xlabel "bytes of a text"
set xtics (16, 64, "1 Ki" 1024, "4 Ki" 4096, "16 Ki" 16384)
set xrange [12:22000]
set title "Deliveries"
set ylabel "deliveries per second"
set key bottom left
plot for [who in present(data)] data using "bytes":(of(who, column("per second"))) \
  with linespoints linestyle look(who) title called(who)
set title "Bytes"
set ylabel "MB per second"
set format y "%g"
set key bottom right
plot for [who in present(data)] data using "bytes":(of(who, column("MB/s"))) \
  with linespoints linestyle look(who) title called(who)
unset multiplot
