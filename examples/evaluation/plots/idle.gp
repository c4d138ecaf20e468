# Of idle.csv
data = file("idle")
# Not of those who have joined.
alone(who, value) = strstrt(strcol("setting"), " idle") > 0 ? of(who, value) : NaN
# Powers of ten beside each other, and none before them.
place(count) = count == 0 ? 0 : log10(count) - 2
set multiplot @panels3 title "Twenty people talk, 200 messages a second, beside connections that say nothing"
set logscale y
set xlabel "idle connections"
set xtics ("0" 0, "1,000" 1, "10,000" 2)
set xrange [-0.2:2.2]
set title "Processor time of the server"
set ylabel "µs for a message to 19 others"
plot for [who in present(data)] data using (place(column("idle"))):(alone(who, column("CPU us per message"))) \
  with linespoints linestyle look(who) notitle
set title "Delay, 99th percentile"
set ylabel "µs"
plot for [who in present(data)] data using (place(column("idle"))):(alone(who, column("p99 us"))) \
  with linespoints linestyle look(who) notitle
set title "Memory of an idle connection"
set ylabel "resident bytes of the server"
set xrange [0.8:2.2]
plot for [who in present(data)] data using (place(column("idle"))):(alone(who, column("B per connection"))) \
  with linespoints linestyle look(who) notitle
@legend
plot for [who in present(data)] NaN with linespoints linestyle look(who) title called(who)
unset multiplot
