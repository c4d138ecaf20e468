// The yardstick: a relay that does nothing but what fan-out cannot do without. Whoever connects to a port
// is in that port's group. What it says is sent to all others there, line by line, with some fixed
// bytes before each line. It speaks no protocol, keeps nothing, forgives nothing and has no limits, so it
// is what a chat server could cost at the least that copies each line once for the round and makes one
// call for each receiver.
//
//     yardstick-relay PREFIX [GROUPS]
//
// Prints a port for each group, a line each, and then serves until it is killed.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct buffer {
  char *bytes;
  size_t count, room;
};

struct client {
  int group;
  // Where in the round's buffer what this client said itself begins and ends.
  size_t own_start, own_end;
  // The half line at the end of what was read.
  struct buffer half;
  // What its socket did not take.
  struct buffer backlog;
  size_t written;
};

static struct pollfd *polled;
static struct client *clients;
static int count, room, groups;
static struct buffer *rounds;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void append(struct buffer *buffer, const char *bytes, size_t count) {
  if (buffer->count + count > buffer->room) {
    buffer->room = 2 * (buffer->count + count);
    buffer->bytes = realloc(buffer->bytes, buffer->room);
    if (buffer->bytes == NULL) die("realloc");
  }
  memcpy(buffer->bytes + buffer->count, bytes, count);
  buffer->count += count;
}

static void add(int descriptor, int group) {
  if (count == room) {
    room = room ? 2 * room : 64;
    polled = realloc(polled, room * sizeof *polled);
    clients = realloc(clients, room * sizeof *clients);
    if (polled == NULL || clients == NULL) die("realloc");
  }
  polled[count] = (struct pollfd){.fd = descriptor, .events = POLLIN};
  clients[count] = (struct client){.group = group};
  count++;
}

static void drop(int index) {
  close(polled[index].fd);
  free(clients[index].half.bytes);
  free(clients[index].backlog.bytes);
  count--;
  polled[index] = polled[count];
  clients[index] = clients[count];
}

// Returns 0 when the client has gone.
static int take(int index, const char *prefix, size_t prefix_bytes) {
  static char bytes[65536];
  struct client *client = &clients[index];
  ssize_t got = recv(polled[index].fd, bytes, sizeof bytes, 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return 0;
  struct buffer *round = &rounds[client->group];
  client->own_start = round->count;
  char *line = bytes, *end = bytes + got, *newline;
  while ((newline = memchr(line, '\n', end - line)) != NULL) {
    append(round, prefix, prefix_bytes);
    append(round, client->half.bytes, client->half.count);
    client->half.count = 0;
    append(round, line, newline + 1 - line);
    line = newline + 1;
  }
  append(&client->half, line, end - line);
  client->own_end = round->count;
  return 1;
}

static void flush(int index) {
  struct client *client = &clients[index];
  struct buffer *backlog = &client->backlog;
  ssize_t sent = send(polled[index].fd, backlog->bytes + client->written,
                      backlog->count - client->written, MSG_NOSIGNAL);
  if (sent > 0) client->written += sent;
  if (client->written < backlog->count) return;
  client->written = backlog->count = 0;
  polled[index].events = POLLIN;
}

static void give(int index, const char *bytes, size_t bytes_count) {
  if (bytes_count == 0) return;
  struct client *client = &clients[index];
  ssize_t sent = 0;
  if (client->backlog.count == 0) {
    sent = send(polled[index].fd, bytes, bytes_count, MSG_NOSIGNAL);
    if (sent < 0) sent = 0;
  }
  if ((size_t)sent == bytes_count) return;
  append(&client->backlog, bytes + sent, bytes_count - sent);
  polled[index].events = POLLIN | POLLOUT;
}

static void listen_at_ports(void) {
  for (int group = 0; group < groups; group++) {
    int one = 1, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(descriptor, (struct sockaddr *)&address, length) != 0) die("bind");
    if (listen(descriptor, 1024) != 0) die("listen");
    getsockname(descriptor, (struct sockaddr *)&address, &length);
    add(descriptor, group);
    printf("%d\n", ntohs(address.sin_port));
  }
  fflush(stdout);
}

int main(int arguments, char **words) {
  if (arguments < 2) {
    fprintf(stderr, "usage: yardstick-relay PREFIX [GROUPS]\n");
    return 64;
  }
  const char *prefix = words[1];
  size_t prefix_bytes = strlen(prefix);
  groups = arguments > 2 ? atoi(words[2]) : 1;
  rounds = calloc(groups, sizeof *rounds);
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  listen_at_ports();
  for (;;) {
    int ready = poll(polled, count, -1);
    if (ready < 0) continue;
    for (int i = count - 1; i >= groups; i--) {
      clients[i].own_start = clients[i].own_end = 0;
      if (polled[i].revents & POLLOUT) flush(i);
      if (polled[i].revents & (POLLIN | POLLHUP | POLLERR) && !take(i, prefix, prefix_bytes)) drop(i);
    }
    for (int i = groups; i < count; i++) {
      struct buffer *round = &rounds[clients[i].group];
      if (round->count == 0) continue;
      give(i, round->bytes, clients[i].own_start);
      give(i, round->bytes + clients[i].own_end, round->count - clients[i].own_end);
    }
    for (int group = 0; group < groups; group++) rounds[group].count = 0;
    for (int group = 0; group < groups; group++) {
      if (!(polled[group].revents & POLLIN)) continue;
      int descriptor, one = 1;
      while ((descriptor = accept4(polled[group].fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        add(descriptor, group);
        polled[count - 1].revents = 0;
      }
    }
  }
}
