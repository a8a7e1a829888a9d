"""All ways to put eight queens on a board, then some work on dictionaries and strings."""


def place(size, row=0, columns=(), rising=(), falling=()):
    if row == size:
        yield columns
        return
    for column in range(size):
        if column not in columns and row + column not in rising and row - column not in falling:
            yield from place(size, row + 1, columns + (column,), rising + (row + column,), falling + (row - column,))


class Tally:
    def __init__(self):
        self.counts = {}

    def add(self, key):
        self.counts[key] = self.counts.get(key, 0) + 1


solutions = list(place(7))
tally = Tally()
for solution in solutions:
    for first, second in zip(solution, solution[1:]):
        tally.add(f"{first}-{second}")
print(len(solutions))
for key, count in sorted(tally.counts.items(), key=lambda item: (-item[1], item[0]))[:20]:
    print(key, count, round(count / len(solutions), 3))
