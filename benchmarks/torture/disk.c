/* A disk that can be cut off from its power, or be full: preloaded into a server.

Of each file below $TORTURE_FROM whose name ends in .db, -wal or -journal a second one is kept below
$TORTURE_TO, with what fsync and fdatasync have promised to be durable and nothing else. While the
file $TORTURE_FULL exists, writing to those files fails for want of space once as many more bytes as
that file says (a decimal number) are written. Each sync takes $TORTURE_WAIT microseconds longer; with
$TORTURE_LIES it does nothing to the second file. Linux only. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct range {
    off_t start, end; /* end < 0: the file was cut to `start` bytes */
    struct range *next;
};

struct kept {
    char *name; /* below $TORTURE_FROM */
    struct range *first, *last;
    struct kept *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept *all;
static const char *from, *to, *full;
static size_t from_length;
static useconds_t wait; /* microseconds before each sync */
static int lies;
static long long room = -1; /* bytes left on a full disk; -1: it is not full */

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int), (*real_fdatasync)(int), (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);

__attribute__((constructor)) static void begin(void) {
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    from = getenv("TORTURE_FROM");
    to = getenv("TORTURE_TO");
    full = getenv("TORTURE_FULL");
    from_length = from ? strlen(from) : 0;
    wait = getenv("TORTURE_WAIT") ? (useconds_t)atoi(getenv("TORTURE_WAIT")) : 0;
    lies = getenv("TORTURE_LIES") != NULL;
}

static int ends(const char *text, const char *end) {
    size_t length = strlen(text), wanted = strlen(end);
    return length >= wanted && !strcmp(text + length - wanted, end);
}

/* The part of a path below $TORTURE_FROM, NULL where the file is none of ours. */
static const char *inside(const char *path) {
    if (!from || !to || strncmp(path, from, from_length) || path[from_length] != '/')
        return NULL;
    if (!ends(path, ".db") && !ends(path, "-wal") && !ends(path, "-journal"))
        return NULL;
    return path + from_length + 1;
}

static struct kept *find(const char *name) {
    struct kept *each;
    for (each = all; each; each = each->next)
        if (!strcmp(each->name, name))
            return each;
    each = calloc(1, sizeof *each);
    each->name = strdup(name);
    each->next = all;
    return all = each;
}

/* Whether an open file is one of ours, and its name; a socket is told apart quickly. */
static int is_ours(int fd, char *name, size_t size) {
    struct stat about;
    char link[64], path[4096];
    ssize_t length;
    const char *found;
    if (!to || fstat(fd, &about) || !S_ISREG(about.st_mode))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    found = inside(path);
    if (found)
        snprintf(name, size, "%s", found);
    return found != NULL;
}

/* What is kept of an open file, NULL where it is none of ours; if it is, the lock is taken. */
static struct kept *of(int fd) {
    char name[1024];
    if (!is_ours(fd, name, sizeof name))
        return NULL;
    pthread_mutex_lock(&lock);
    return find(name);
}

static void leave(const struct kept *file) {
    if (file)
        pthread_mutex_unlock(&lock);
}

static void note(struct kept *file, off_t start, off_t end) {
    struct range *made = malloc(sizeof *made);
    *made = (struct range){start, end, NULL};
    if (file->last)
        file->last->next = made;
    else
        file->first = made;
    file->last = made;
}

static int open_copy(const struct kept *file) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", to, file->name);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

/* What is durable now goes into the copy, in the order it was written. */
static void keep(struct kept *file, int fd) {
    static char buffer[1 << 16];
    struct range *each, *next;
    int copy = open_copy(file);
    for (each = file->first; each; each = next) {
        off_t at = each->start;
        next = each->next;
        if (each->end < 0)
            real_ftruncate(copy, each->start);
        while (at < each->end) {
            off_t left = each->end - at;
            size_t most = left < (off_t)sizeof buffer ? (size_t)left : sizeof buffer;
            ssize_t got = pread(fd, buffer, most, at);
            if (got <= 0)
                break; /* it was cut since */
            real_pwrite(copy, buffer, got, at);
            at += got;
        }
        free(each);
    }
    file->first = file->last = NULL;
    close(copy);
}

/* How many bytes may be written now. */
static size_t allowed(size_t wanted) {
    char text[32];
    int fd = full ? open(full, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        room = -1;
        return wanted;
    }
    if (room < 0) {
        ssize_t got = read(fd, text, sizeof text - 1);
        text[got > 0 ? got : 0] = 0;
        room = atoll(text);
    }
    close(fd);
    if ((long long)wanted > room)
        wanted = (size_t)room;
    room -= (long long)wanted;
    return wanted;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    struct kept *file = of(fd);
    ssize_t done;
    if (file) {
        size_t most = allowed(size);
        if (!most && size) {
            leave(file);
            errno = ENOSPC;
            return -1;
        }
        size = most;
    }
    done = real_pwrite(fd, data, size, at);
    if (file && done > 0)
        note(file, at, at + done);
    leave(file);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return pwrite64(fd, data, size, at);
}

ssize_t write(int fd, const void *data, size_t size) {
    struct kept *file = of(fd);
    off_t at = file ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = real_write(fd, data, size);
    if (file && done > 0)
        note(file, at, at + done);
    leave(file);
    return done;
}

int ftruncate64(int fd, off_t size) {
    struct kept *file = of(fd);
    int done = real_ftruncate(fd, size);
    if (file && !done)
        note(file, size, -1);
    leave(file);
    return done;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

/* The lock is held meanwhile: no write is later than the sync and in the copy all the same. */
static int sync_with(int (*real)(int), int fd) {
    struct kept *file = of(fd);
    int done;
    if (file && wait)
        usleep(wait);
    done = real(fd);
    if (file && !done && !lies)
        keep(file, fd);
    leave(file);
    return done;
}

int fsync(int fd) { return sync_with(real_fsync, fd); }

int fdatasync(int fd) { return sync_with(real_fdatasync, fd); }

/* Without its journal a database must be whole already: take the worse case, it is gone at once. */
int unlink(const char *path) {
    const char *name = inside(path);
    int done = real_unlink(path);
    if (name && !done) {
        char copy[4096];
        struct kept *file;
        struct range *each, *next;
        pthread_mutex_lock(&lock);
        file = find(name);
        for (each = file->first; each; each = next) {
            next = each->next;
            free(each);
        }
        file->first = file->last = NULL;
        snprintf(copy, sizeof copy, "%s/%s", to, name);
        real_unlink(copy);
        pthread_mutex_unlock(&lock);
    }
    return done;
}
