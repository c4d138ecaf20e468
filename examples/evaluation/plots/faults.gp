# Of faults.csv kills.csv
nodes = file("faults")
others = file("kills")
perMinute = "(column('kills of nodes') + column('kills of the server')) / column('minutes')"
share = "100.0 * column('lost') / (column('lost') + column('delivered'))"
set multiplot @panels2 title "Processes killed with kill -9, again and again: what is lost, and how long the rest takes"
set xlabel "kills in a minute"
set xrange [-2:*]
set format y "%g"
set title "Lost"
set ylabel "percent of the deliveries"
set yrange [-1:*]
plot nodes using (@perMinute):(@share) with linespoints linestyle 1 title "LineChat's nodes", \
  for [who in present(others)] others \
  using (column("kills") * 60 / column("s")):(of(who, @share)) \
  with linespoints linestyle who eq "linechat" ? 6 : look(who) \
  title who eq "linechat" ? "LineChat, plain clients" : called(who)
set title "LineChat's nodes: until all had arrived"
set ylabel "seconds after the end of the faults"
set yrange [0:*]
plot nodes using (@perMinute):"seconds until all had arrived" with linespoints linestyle 1 notitle
unset multiplot
