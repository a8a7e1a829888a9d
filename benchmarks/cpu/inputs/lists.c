/* A sorted list and a hash table of the same numbers: what the compiler has to do with loops, structures and calls. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct node *next;
    unsigned key;
    double weight;
    char name[16];
};

static struct node *table[256];

static unsigned hash(const char *text) {
    unsigned value = 2166136261u;
    while (*text != 0) value = (value ^ (unsigned char)*text++) * 16777619u;
    return value;
}

static struct node *new_node(unsigned key) {
    struct node *node = malloc(sizeof *node);
    if (node == NULL) {
        fprintf(stderr, "no memory: %s\n", strerror(errno));
        exit(1);
    }
    node->next = NULL;
    node->key = key;
    node->weight = (double)key / 7;
    snprintf(node->name, sizeof node->name, "n%u", key);
    return node;
}

static struct node *merge(struct node *a, struct node *b) {
    struct node *first = NULL, **end = &first;
    while (a != NULL && b != NULL) {
        struct node **least = a->key <= b->key ? &a : &b;
        *end = *least;
        end = &(*least)->next;
        *least = *end;
    }
    *end = a != NULL ? a : b;
    return first;
}

static struct node *sorted(struct node *list) {
    if (list == NULL || list->next == NULL) return list;
    struct node *middle = list;
    for (struct node *end = list->next; end != NULL && end->next != NULL; end = end->next->next) middle = middle->next;
    struct node *second = middle->next;
    middle->next = NULL;
    return merge(sorted(list), sorted(second));
}

static void insert(struct node *node) {
    struct node **bucket = &table[hash(node->name) % 256];
    node->next = *bucket;
    *bucket = node;
}

static const struct node *find(const char *name) {
    const struct node *node = table[hash(name) % 256];
    while (node != NULL && strcmp(node->name, name) != 0) node = node->next;
    return node;
}

int main(void) {
    struct node *list = NULL;
    unsigned state = 1;
    for (int i = 0; i < 1000; i++) {
        state = state * 1103515245u + 12345u;
        struct node *node = new_node(state >> 16);
        node->next = list;
        list = node;
        insert(new_node((unsigned)i));
    }
    double sum = 0;
    for (const struct node *node = list = sorted(list); node != NULL; node = node->next) sum += sqrt(node->weight);
    const struct node *found = find("n777");
    printf("%u %.6f %u\n", list->key, sum, found == NULL ? 0 : found->key);
    return 0;
}
