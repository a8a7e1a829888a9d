# Counts the words of the files named, and finds the longest identifiers in them.
use strict;
use warnings;

my (%count, %length);
while (my $line = <>) {
    $count{lc $1}++ while $line =~ /\b([a-z]+)\b/gi;
    $length{$1} = length $1 while $line =~ /\b([a-z]\w*_\w+)\b/g;
}
my @common = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
printf "%-12s %d\n", $_, $count{$_} for @common[0 .. 19];
my @long = sort { $length{$b} <=> $length{$a} || $a cmp $b } keys %length;
print join(" ", map { s/_(\w)/\u$1/gr } @long[0 .. 9]), "\n";
