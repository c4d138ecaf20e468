# Of faults.csv
data = file("faults")
kills = "column('kills of nodes') + column('kills of the server')"
set multiplot layout 1,2 title "Nodes under faults of the network, killed at random: from calm to more and more"
set xlabel "processes killed with kill -9"
set xrange [-2:*]
set yrange [0:*]
set format y "%g"
set title "Lost, twice, or out of order"
set ylabel "deliveries"
set yrange [-0.5:10]
set key top left
plot data using (@kills):"lost" with linespoints linestyle 4 title "lost", \
  data using (@kills):"twice" with linespoints linestyle 1 title "twice", \
  data using (@kills):"out of order" with linespoints linestyle 5 title "out of order"
set title "Accepted, and delivered"
set ylabel "messages"
set yrange [0:*]
set format y "%.0s %c"
set key bottom left
plot data using (@kills):"delivered" with linespoints linestyle 1 title "delivered, to all receivers together", \
  data using (@kills):"accepted" with linespoints linestyle 2 title "accepted"
unset multiplot
