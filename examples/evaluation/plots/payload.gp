# Of payload.csv
data = file("payload")
set multiplot @panels2 title "One speaks, 100 hear, 256 messages under way: how fast, by the size of a text"
set logscale xy
set xlabel "bytes of a text"
set xtics (16, 64, "1 Ki" 1024, "4 Ki" 4096, "16 Ki" 16384)
set xrange [12:22000]
set title "Deliveries"
set ylabel "deliveries per second"
plot for [who in present(data)] data using "bytes":(of(who, column("per second"))) \
  with linespoints linestyle look(who) notitle
set title "Bytes"
set ylabel "MB per second"
set format y "%g"
plot for [who in present(data)] data using "bytes":(of(who, column("MB/s"))) \
  with linespoints linestyle look(who) notitle
@legend
plot for [who in present(data)] NaN with linespoints linestyle look(who) title called(who)
unset multiplot
