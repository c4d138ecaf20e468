# Of messages-delays.csv idle-delays.csv
busy = file("messages-delays")
calm = file("idle-delays")
# The more nines the further to the right.
place(percentile) = percentile < 100 ? 1 / (1 - percentile / 100) : NaN
delay(who, what, number) = column(what) == number ? of(who, column("us")) : NaN
set multiplot @panels3 title "How long until a message is there: so many percent took at most so long"
set logscale xy
set xlabel "percent of all deliveries"
set xtics ("50" 2, "90" 10, "99" 100, "99.9" 1000, "99.99" 10000)
set xrange [1:20000]
set ylabel "delay, µs"
set title "20 people, 200 messages a second"
plot for [who in present(calm)] calm using (place(column("percentile"))):(delay(who, "idle", 0)) \
  with lines linestyle look(who) notitle
set title "100 hear, one message at a time"
plot for [who in present(busy)] busy \
  using (place(column("percentile"))):(delay(who, "window", 1)) \
  with lines linestyle look(who) notitle
set title "100 hear, 256 under way"
plot for [who in present(busy)] busy \
  using (place(column("percentile"))):(delay(who, "window", 256)) \
  with lines linestyle look(who) notitle
@legend
plot for [who in present(busy)] NaN with lines linestyle look(who) title called(who)
unset multiplot
