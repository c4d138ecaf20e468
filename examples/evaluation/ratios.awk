# Of the CSV files of all scenarios, what LineChat's processor time and speed are beside the others': a Markdown
# table. Run by run.sh.

# The fields of a line into `fields`; a field in quotes may have commas.
function parse(line, fields,    count, at, character, quoted) {
  count = 1
  fields[1] = ""
  quoted = 0
  for (at = 1; at <= length(line); at++) {
    character = substr(line, at, 1)
    if (character == "\"") quoted = !quoted
    else if (character == "," && !quoted) fields[++count] = ""
    else fields[count] = fields[count] character
  }
  return count
}

function spread(title) {
  if (fields[at[title]] == "") return "-"
  return fields[at[title]] " (" fields[at[title ", least"]] " to " fields[at[title ", most"]] ")"
}

BEGIN {
  print "| scenario | setting | beside | LineChat's CPU / its | LineChat's rate / its | lost by LineChat | lost by it |"
  print "|---|---|---|---:|---:|---:|---:|"
}

FNR == 1 {
  count = parse($0, fields)
  for (i = 1; i <= count; i++) at[fields[i]] = i
  scenario = FILENAME
  sub(/.*\//, "", scenario)
  sub(/\.csv$/, "", scenario)
  next
}

{
  parse($0, fields)
  setting = fields[at["setting"]]
  who = fields[at["contestant"]]
  if (who == "linechat") lost[scenario, setting] = fields[at["lost"]]
  else if (fields[at["LineChat's CPU / its"]] != "")
    printf "| %s | %s | %s | %s | %s | %s | %s |\n", scenario, setting, who, \
      spread("LineChat's CPU / its"), spread("LineChat's rate / its"), lost[scenario, setting], \
      fields[at["lost"]]
}
