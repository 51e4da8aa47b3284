/* The gRPC origin: `echo PORT`. Answers every call with the very bytes of its request, and with trailers.
 *
 * HTTP/2 with prior knowledge, in the clear, on one thread. It is as cheap as such an origin can be, so that the proxy
 * before it is what a load meets. For that it knows its callers: request heads are not decoded (whatever is called is
 * echoed), and a request's body lies within BODY_BYTES_MAX. Flow control is kept: what does not fit in the caller's
 * windows waits. Anything it does not know ends the process: a measurement with such a caller is worth nothing.
 *
 * A connection that begins with "GET" is answered in HTTP/1.1 with what was counted so far, as JSON, and closed:
 * {"calls": N, "connections": N, "most_streams": N}, the last being the most calls under way at once on one connection.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    INPUT_BYTES = 256 * 1024,
    BODY_BYTES_MAX = 8 * 1024,
    STREAMS_MAX = 1024,
    FRAME_HEAD_BYTES = 9,
    /* What a connection is announced beyond the 65,535 bytes that it starts with. */
    WINDOW_BYTES = 16 * 1024 * 1024,
    EVENTS_MAX = 256,
};

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 0x1, ACK = 0x1, PADDED = 0x8 };

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum { PREFACE_BYTES = sizeof PREFACE - 1 };
/* :status 200; content-type and grpc-status as literals that no table keeps. */
static const char HEAD[] = "\x88\x0f\x10\x10" "application/grpc";
static const char TRAILERS[] = "\x00\x0b" "grpc-status" "\x01" "0";

struct call {
    uint32_t stream;
    int64_t window;
    uint32_t length;
    int is_whole;
    unsigned char *body;
};

struct connection {
    int descriptor;
    int has_begun, awaits_room;
    int64_t window;
    int64_t initial_window;
    /* Bytes received and not yet given back to the caller. */
    uint32_t owed;
    size_t filled;
    unsigned char *input;
    size_t pending, pending_room;
    unsigned char *output;
    /* In the order in which they began; a caller's streams only ever have greater ids. */
    int call_count;
    struct call calls[STREAMS_MAX];
};

static unsigned long call_total, connection_total, most_streams;
static int poll_descriptor;

static void fail(const char *what) {
    fprintf(stderr, "echo: %s\n", what);
    exit(1);
}

/* MARK: Output */

static void append(struct connection *c, const void *bytes, size_t count) {
    if (c->pending + count > c->pending_room) {
        c->pending_room = 2 * (c->pending + count);
        c->output = realloc(c->output, c->pending_room);
        if (!c->output) fail("no memory");
    }
    memcpy(c->output + c->pending, bytes, count);
    c->pending += count;
}

static void append_frame(
    struct connection *c, int type, int flags, uint32_t stream, const void *bytes, uint32_t count
) {
    unsigned char head[FRAME_HEAD_BYTES] = {
        count >> 16, count >> 8, count, type, flags, stream >> 24, stream >> 16, stream >> 8, stream,
    };
    append(c, head, sizeof head);
    append(c, bytes, count);
}

static void append_window(struct connection *c, uint32_t stream, uint32_t bytes) {
    uint32_t increment = htonl(bytes);
    append_frame(c, WINDOW_UPDATE, 0, stream, &increment, sizeof increment);
}

/* Writes what is pending; what the socket does not take stays, and the poll says when it does. */
static int flush(struct connection *c) {
    size_t sent = 0;
    while (sent < c->pending) {
        ssize_t count = send(c->descriptor, c->output + sent, c->pending - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EAGAIN) break;
        if (count < 0) return -1;
        sent += (size_t)count;
    }
    memmove(c->output, c->output + sent, c->pending - sent);
    c->pending -= sent;
    if (c->awaits_room == (c->pending > 0)) return 0;
    c->awaits_room = c->pending > 0;
    struct epoll_event wanted = {.events = EPOLLIN | (c->awaits_room ? EPOLLOUT : 0), .data.ptr = c};
    return epoll_ctl(poll_descriptor, EPOLL_CTL_MOD, c->descriptor, &wanted);
}

/* MARK: Calls */

static struct call *find(struct connection *c, uint32_t stream) {
    /* Mostly one of the last. */
    for (int i = c->call_count; i-- > 0;)
        if (c->calls[i].stream == stream) return &c->calls[i];
    return NULL;
}

static void drop(struct connection *c, struct call *call) {
    free(call->body);
    c->call_count--;
    memmove(call, call + 1, (size_t)(c->calls + c->call_count - call) * sizeof *call);
}

/* Answers the calls that are whole, as far as the caller's windows reach. */
static void answer(struct connection *c) {
    for (int i = 0; i < c->call_count;) {
        struct call *call = &c->calls[i];
        if (!call->is_whole || call->length > c->window || call->length > call->window) {
            i++;
            continue;
        }
        append_frame(c, HEADERS, 0x4, call->stream, HEAD, sizeof HEAD - 1);
        append_frame(c, DATA, 0, call->stream, call->body, call->length);
        append_frame(c, HEADERS, 0x4 | END_STREAM, call->stream, TRAILERS, sizeof TRAILERS - 1);
        c->window -= call->length;
        call_total++;
        drop(c, call);
    }
}

static void begin_call(struct connection *c, uint32_t stream, int is_whole) {
    struct call *call = find(c, stream);
    if (call) { /* trailers */
        call->is_whole |= is_whole;
        return;
    }
    if (c->call_count == STREAMS_MAX) fail("more streams than were allowed");
    call = &c->calls[c->call_count++];
    *call = (struct call){.stream = stream, .window = c->initial_window, .is_whole = is_whole};
    if ((unsigned long)c->call_count > most_streams) most_streams = (unsigned long)c->call_count;
}

static void take_data(struct connection *c, uint32_t stream, int flags, const unsigned char *bytes, uint32_t count) {
    c->owed += count;
    if (flags & PADDED) {
        uint32_t padding = count ? 1u + bytes[0] : 1u;
        if (padding > count) fail("padding beyond its frame");
        bytes++;
        count -= padding;
    }
    struct call *call = find(c, stream);
    if (call) {
        if (call->length + count > BODY_BYTES_MAX) fail("a body beyond the bound");
        if (count && !call->body && !(call->body = malloc(BODY_BYTES_MAX))) fail("no memory");
        memcpy(call->body + call->length, bytes, count);
        call->length += count;
        call->is_whole |= flags & END_STREAM;
    }
    if (c->owed > WINDOW_BYTES / 2) {
        append_window(c, 0, c->owed);
        c->owed = 0;
    }
}

/* MARK: Frames */

static uint32_t number(const unsigned char *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void take_settings(struct connection *c, const unsigned char *bytes, uint32_t count) {
    enum { INITIAL_WINDOW_SIZE = 4 };
    for (; count >= 6; bytes += 6, count -= 6) {
        if ((bytes[0] << 8 | bytes[1]) != INITIAL_WINDOW_SIZE) continue;
        int64_t wanted = number(bytes + 2);
        for (int i = 0; i < c->call_count; i++) c->calls[i].window += wanted - c->initial_window;
        c->initial_window = wanted;
    }
    append_frame(c, SETTINGS, ACK, 0, "", 0);
}

static void take_frame(
    struct connection *c, int type, int flags, uint32_t stream, const unsigned char *bytes, uint32_t count
) {
    struct call *call;
    switch (type) {
    case DATA: take_data(c, stream, flags, bytes, count); break;
    case HEADERS: begin_call(c, stream, flags & END_STREAM); break;
    case RST_STREAM:
        if ((call = find(c, stream))) drop(c, call);
        break;
    case SETTINGS:
        if (!(flags & ACK)) take_settings(c, bytes, count);
        break;
    case PING:
        if (!(flags & ACK)) append_frame(c, PING, ACK, 0, bytes, count);
        break;
    case WINDOW_UPDATE:
        if (count != 4) fail("a WINDOW_UPDATE of another length");
        if (!stream) c->window += number(bytes) & 0x7fffffff;
        else if ((call = find(c, stream))) call->window += number(bytes) & 0x7fffffff;
        break;
    default: break;
    }
}

static void begin(struct connection *c) {
    enum { MAX_CONCURRENT_STREAMS = 3 };
    unsigned char settings[] = {0, MAX_CONCURRENT_STREAMS, 0, 0, STREAMS_MAX >> 8, STREAMS_MAX & 0xff};
    append_frame(c, SETTINGS, 0, 0, settings, sizeof settings);
    append_window(c, 0, WINDOW_BYTES);
    c->has_begun = 1;
    connection_total++;
}

static int answer_count(struct connection *c) {
    char body[160], text[256];
    int length = snprintf(
        body, sizeof body, "{\"calls\": %lu, \"connections\": %lu, \"most_streams\": %lu}\n", call_total,
        connection_total, most_streams);
    int total = snprintf(
        text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", length, body);
    append(c, text, (size_t)total);
    flush(c);
    return -1;
}

/* Understands what has come, and answers. -1: the connection is over. */
static int take_input(struct connection *c) {
    size_t at = 0;
    if (!c->has_begun) {
        if (c->filled >= 4 && !memcmp(c->input, "GET ", 4)) return answer_count(c);
        if (c->filled < PREFACE_BYTES) return 0;
        if (memcmp(c->input, PREFACE, PREFACE_BYTES)) fail("a connection that is not HTTP/2");
        begin(c);
        at = PREFACE_BYTES;
    }
    while (c->filled - at >= FRAME_HEAD_BYTES) {
        const unsigned char *frame = c->input + at;
        uint32_t count = number(frame) >> 8;
        if (count > 16384) fail("a frame beyond the bound");
        if (c->filled - at < FRAME_HEAD_BYTES + count) break;
        take_frame(c, frame[3], frame[4], number(frame + 5) & 0x7fffffff, frame + FRAME_HEAD_BYTES, count);
        at += FRAME_HEAD_BYTES + count;
    }
    memmove(c->input, c->input + at, c->filled - at);
    c->filled -= at;
    answer(c);
    return c->pending ? flush(c) : 0;
}

/* MARK: Connections */

static void accept_all(int listener) {
    int descriptor, on = 1;
    while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *c = calloc(1, sizeof *c);
        if (!c || !(c->input = malloc(INPUT_BYTES))) fail("no memory");
        c->descriptor = descriptor;
        c->window = c->initial_window = 65535;
        struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(poll_descriptor, EPOLL_CTL_ADD, descriptor, &wanted)) fail("epoll_ctl");
    }
}

static void close_connection(struct connection *c) {
    while (c->call_count) drop(c, &c->calls[0]);
    close(c->descriptor);
    free(c->input);
    free(c->output);
    free(c);
}

static int serve(struct connection *c) {
    ssize_t count = recv(c->descriptor, c->input + c->filled, INPUT_BYTES - c->filled, 0);
    if (count < 0 && errno == EAGAIN) return c->pending ? flush(c) : 0;
    if (count <= 0) return -1;
    c->filled += (size_t)count;
    return take_input(c);
}

int main(int count, char **arguments) {
    if (count != 2) fail("usage: echo PORT");
    prctl(PR_SET_NAME, "echo");
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address)) fail("the port is taken");
    if (listen(listener, 4096)) fail("listen");
    poll_descriptor = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS_MAX] = {{.events = EPOLLIN, .data.ptr = NULL}};
    if (epoll_ctl(poll_descriptor, EPOLL_CTL_ADD, listener, &events[0])) fail("epoll_ctl");
    for (;;) {
        int ready = epoll_wait(poll_descriptor, events, EVENTS_MAX, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) accept_all(listener);
            else if (serve(c) < 0) close_connection(c);
        }
    }
}
