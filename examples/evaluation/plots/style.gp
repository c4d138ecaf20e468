# What all plots have in common. The background is white, whatever the page's is; the colours are Okabe and
# Ito's, which people tell apart who see few; and each contestant has a point and a line of its own, too.
#
# results: the folder with the CSV files.

set terminal svg size 960,420 font "Helvetica,Arial,sans-serif,13" background "#ffffff" linewidth 1.2
set datafile separator comma
set datafile missing NaN
set key top left reverse Left samplen 2.5 spacing 1.1
set grid back linecolor "#d8d8d8" linewidth 0.8
set border 3 linecolor "#404040"
set tics nomirror textcolor "#303030"
set format y "%.0s %c"

contestants = "linechat relay nats redis ngircd"
called(name) = name eq "linechat" ? "LineChat" : name eq "relay" ? "plain relay in C" : \
  name eq "nats" ? "nats-server" : name eq "redis" ? "redis-server" : name

set style line 1 linecolor "#0072b2" linewidth 2.6 pointtype 7 pointsize 0.8
set style line 2 linecolor "#000000" linewidth 1.6 pointtype 4 pointsize 0.8 dashtype 2
set style line 3 linecolor "#e69f00" linewidth 1.8 pointtype 9 pointsize 0.9
set style line 4 linecolor "#d55e00" linewidth 1.8 pointtype 13 pointsize 0.9 dashtype 4
set style line 5 linecolor "#009e73" linewidth 1.8 pointtype 11 pointsize 0.9 dashtype 5

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
