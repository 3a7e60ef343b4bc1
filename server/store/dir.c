/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char reserve_name[] = "reserve";
static const char lock_name[] = "lock";

/* The numbers of statfs(2), for kernels whose headers do not have them all. */
static const uint32_t network_types[] = {
    0x00006969, /* NFS */
    0x0000517b, /* SMB */
    0xff534d42, /* CIFS */
    0xfe534d42, /* SMB2 */
    0x65735546, /* FUSE */
    0x01021997, /* 9P */
    0x5346414f, /* AFS */
    0x6b414653, /* kAFS */
    0x73757245, /* Coda */
    0x0000564c, /* NCP */
    0x00c36400, /* Ceph */
    0x01161970, /* GFS2 */
    0x7461636f, /* OCFS2 */
    0x0bd00bd0, /* Lustre */
};

__attribute__((format(printf, 3, 4))) static enum store_status
fail(struct dir *dir, enum store_status status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(dir->detail, sizeof(dir->detail), format, args);
    va_end(args);
    return status;
}

void
dir_init(struct dir *dir)
{
    *dir = (struct dir){.fd = -1, .lock_fd = -1};
}

bool
dir_is_network(uint64_t type)
{
    for (size_t i = 0; i < sizeof(network_types) / sizeof(network_types[0]);
         i++) {
        if (type == network_types[i]) {
            return true;
        }
    }
    return false;
}

static enum store_status
open_directory(struct dir *dir, const char *path)
{
    struct statfs fs;

    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return fail(dir, STORE_NO_DIRECTORY, "%s: %s", path,
                    strerrordesc_np(errno));
    }
    dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0 || fstatfs(dir->fd, &fs) != 0) {
        return fail(dir, STORE_NO_DIRECTORY, "%s: %s", path,
                    strerrordesc_np(errno));
    }
    /* Some types are negative where the field is signed. */
    uint32_t type = (uint32_t)fs.f_type;

    if (dir_is_network(type)) {
        return fail(dir, STORE_NETWORK_FILES,
                    "%s: file system type %#x; use a local disk", path, type);
    }
    if (faccessat(dir->fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        return fail(dir, STORE_NO_DIRECTORY, "%s: %s", path,
                    strerrordesc_np(errno));
    }
    return STORE_OK;
}

/* Who holds it, as far as the file says. */
static enum store_status
say_locked(struct dir *dir, const char *path)
{
    char pid[24] = "";
    ssize_t len = pread(dir->lock_fd, pid, sizeof(pid) - 1, 0);

    pid[len < 0 ? 0 : len] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    return fail(dir, STORE_LOCKED, "%s: held by process %s", path,
                pid[0] == '\0' ? "unknown" : pid);
}

static enum store_status
take_lock(struct dir *dir, const char *path)
{
    char pid[24];

    dir->lock_fd = openat(dir->fd, lock_name, O_RDWR | O_CREAT | O_CLOEXEC,
                          0600);
    if (dir->lock_fd < 0) {
        return fail(dir, STORE_NO_DIRECTORY, "%s/%s: %s", path, lock_name,
                    strerrordesc_np(errno));
    }
    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        enum store_status status = errno == EWOULDBLOCK
                                       ? say_locked(dir, path)
                                       : fail(dir, STORE_NO_DIRECTORY,
                                              "%s/%s: %s", path, lock_name,
                                              strerrordesc_np(errno));

        (void)close(dir->lock_fd);
        dir->lock_fd = -1;
        return status;
    }
    int len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

    /* For people only: a full disk must not keep us from starting. */
    bool written = ftruncate(dir->lock_fd, 0) == 0 &&
                   pwrite(dir->lock_fd, pid, (size_t)len, 0) == len;

    (void)written;
    return STORE_OK;
}

enum store_status
dir_open(struct dir *dir, const char *path)
{
    enum store_status status = open_directory(dir, path);

    if (status == STORE_OK) {
        status = take_lock(dir, path);
    }
    if (status != STORE_OK) {
        dir_close(dir);
    }
    return status;
}

void
dir_close(struct dir *dir)
{
    if (dir->lock_fd >= 0) {
        (void)close(dir->lock_fd);
    }
    if (dir->fd >= 0) {
        (void)close(dir->fd);
    }
    dir->lock_fd = -1;
    dir->fd = -1;
}

bool
dir_free_bytes(const struct dir *dir, uint64_t *ret)
{
    struct statvfs fs;

    if (fstatvfs(dir->fd, &fs) != 0) {
        return false;
    }
    *ret = (uint64_t)fs.f_bavail * fs.f_frsize;
    return true;
}

bool
dir_reserve(struct dir *dir, uint64_t bytes)
{
    struct stat stat;
    int fd = openat(dir->fd, reserve_name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        return false;
    }
    dir->reserved =
        (fstat(fd, &stat) == 0 && (uint64_t)stat.st_size == bytes) ||
        (ftruncate(fd, 0) == 0 && posix_fallocate(fd, 0, (off_t)bytes) == 0);
    (void)close(fd);
    if (!dir->reserved) {
        (void)unlinkat(dir->fd, reserve_name, 0);
    }
    return dir->reserved;
}

bool
dir_release(struct dir *dir)
{
    if (!dir->reserved) {
        return false;
    }
    dir->reserved = false;
    return unlinkat(dir->fd, reserve_name, 0) == 0;
}

enum store_status
dir_sync(struct dir *dir)
{
    if (fsync(dir->fd) != 0) {
        return fail(dir, STORE_IO, "sync of the directory: %s",
                    strerrordesc_np(errno));
    }
    return STORE_OK;
}
