#!/bin/sh
# Counts the words of a file, a line at a time and slowly, so that there is something to watch.
set -eu

file=$1
lines=$(wc -l < "$file" | tr -d ' ')
number=0
words=0
while IFS= read -r line; do
  number=$((number + 1))
  words=$((words + $(echo "$line" | wc -w)))
  printf '%2d/%d  %3d words  %s\n' "$number" "$lines" "$words" "$line"
  sleep 0.3
done < "$file"
echo "$words words in all."
