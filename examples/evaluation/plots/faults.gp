# Of faults.csv kills.csv
nodes = file("faults")
others = file("kills")
killed(row) = (column("kills of nodes") + column("kills of the server")) / column("minutes")
share(row) = 100.0 * column("lost") / (column("lost") + column("delivered"))
line(who) = who eq "linechat" ? 6 : look(who)
set multiplot @panels2 title "Processes killed with kill -9, again and again: what is lost, and how long the rest takes"
set xlabel "kills in a minute"
set xrange [-2:*]
set format y "%g"
set title "Lost"
set ylabel "percent of the deliveries"
set yrange [-1:*]
plot nodes using (killed(0)):(share(0)) with linespoints linestyle 1 notitle, \
  for [who in present(others)] others \
  using (column("kills") * 60 / column("s")):(of(who, share(0))) \
  with linespoints linestyle line(who) notitle
set title "LineChat's nodes: until all had arrived"
set ylabel "seconds after the end of the faults"
set yrange [0:*]
plot nodes using (killed(0)):"seconds until all had arrived" with linespoints linestyle 1 notitle
@legend
plot NaN with linespoints linestyle 1 title "LineChat's nodes", \
  for [who in present(others)] NaN with linespoints linestyle line(who) \
  title who eq "linechat" ? "LineChat, plain clients" : called(who)
unset multiplot
