# What all plots have in common. The background is white, whatever the page's is; the colours are Okabe and
# Ito's, which people tell apart who see few; and each contestant has a point and a line of its own, too.
#
# results: the folder with the CSV files.

set terminal svg size 960,440 font "Helvetica,Arial,sans-serif,13" background "#ffffff" linewidth 1.2
set datafile separator comma
set datafile missing NaN
unset key
# Panels beside each other, and below them one legend for all: it is a plot of its own, of nothing.
panels2 = "layout 1,2 margins 0.085,0.985,0.25,0.84 spacing 0.105,0"
panels3 = "layout 1,3 margins 0.085,0.985,0.25,0.84 spacing 0.095,0"
legend = "unset title; unset border; unset tics; unset grid; " \
  . "unset xlabel; unset ylabel; unset logscale; set xrange [0:1]; set yrange [0:1]; " \
  . "set lmargin at screen 0.01; set rmargin at screen 0.99; set bmargin at screen 0.01; " \
  . "set tmargin at screen 0.11; set key center center horizontal maxrows 1 samplen 2.5 width 1"
set grid back linecolor "#d8d8d8" linewidth 0.8
set border 3 linecolor "#404040"
set tics nomirror textcolor "#303030"
set format y "%.0s %c"

called(name) = name eq "linechat" ? "LineChat" : name eq "relay" ? "plain relay in C" : \
  name eq "nats" ? "nats-server" : name eq "redis" ? "redis-server" : name

set style line 1 linecolor "#0072b2" linewidth 2.6 pointtype 7 pointsize 0.8
set style line 2 linecolor "#000000" linewidth 1.6 pointtype 4 pointsize 0.8 dashtype 2
set style line 3 linecolor "#e69f00" linewidth 1.8 pointtype 9 pointsize 0.9
set style line 4 linecolor "#d55e00" linewidth 1.8 pointtype 13 pointsize 0.9 dashtype 4
set style line 5 linecolor "#009e73" linewidth 1.8 pointtype 11 pointsize 0.9 dashtype 5
set style line 6 linecolor "#56b4e9" linewidth 1.8 pointtype 6 pointsize 0.9 dashtype 2

file(name) = results . "/" . name . ".csv"
# Whether a file knows it: nothing is drawn of who was not there.
has(csv, who) = int(system(sprintf("cut -d, -f2 '%s' | grep -cx '%s' || :", csv, who))) > 0
present(csv) = present1(csv) . present2(csv)
present1(csv) = (has(csv, "linechat") ? "linechat " : "") . (has(csv, "relay") ? "relay " : "")
present2(csv) = (has(csv, "nats") ? "nats " : "") . (has(csv, "redis") ? "redis " : "") \
  . (has(csv, "ngircd") ? "ngircd " : "")
look(name) = name eq "linechat" ? 1 : name eq "relay" ? 2 : name eq "nats" ? 3 : \
  name eq "redis" ? 4 : 5

# A row's value where the row is one's own; else nothing.
of(who, value) = strcol("contestant") eq who ? value : NaN
