/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/vfs.h"

#include "server/store/store_fault.h"

#include <sqlite3.h>

#include <errno.h>
#include <stddef.h>

static const char vfs_name[] = "redial-fault";

/* The file that SQLite sees; the real one stands behind it in memory. */
struct file {
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs our_vfs;

/* Of this thread's last fault, for sqlite3_system_errno(). */
static _Thread_local int fault_errno;

static sqlite3_file *
real_of(sqlite3_file *file)
{
    return ((struct file *)(void *)file)->real;
}

static int
file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int
file_read(sqlite3_file *file, void *buf, int len, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), buf, len, at);
}

static int
file_write(sqlite3_file *file, const void *buf, int len, sqlite3_int64 at)
{
    int error = store_fault(STORE_FAULT_WRITE);

    if (error != 0) {
        fault_errno = error;
        return error == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    return real_of(file)->pMethods->xWrite(real_of(file), buf, len, at);
}

static int
file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int
file_sync(sqlite3_file *file, int flags)
{
    int error = store_fault(STORE_FAULT_SYNC);

    if (error != 0) {
        fault_errno = error;
        return SQLITE_IOERR_FSYNC;
    }
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int
file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int
file_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int
file_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int
file_check_lock(sqlite3_file *file, int *ret)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int
file_control(sqlite3_file *file, int op, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int
file_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int
file_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int
file_shm_map(sqlite3_file *file, int region, int size, int extend,
             /* tidy: allow volatile: the signature is SQLite's */
             void volatile **ret)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), region, size, extend,
                                            ret);
}

static int
file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void
file_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int
file_shm_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods our_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
         int *ret_flags)
{
    struct file *ours = (struct file *)(void *)file;

    (void)vfs;
    ours->real = (sqlite3_file *)(void *)(ours + 1);
    int code = real_vfs->xOpen(real_vfs, name, ours->real, flags, ret_flags);

    ours->base.pMethods = ours->real->pMethods == NULL ? NULL : &our_methods;
    return code;
}

static int
vfs_last_error(sqlite3_vfs *vfs, int size, char *buf)
{
    int error = fault_errno;

    (void)vfs;
    fault_errno = 0;
    return error != 0 ? error : real_vfs->xGetLastError(real_vfs, size, buf);
}

const char *
vfs_register(void)
{
    if (real_vfs == NULL) {
        real_vfs = sqlite3_vfs_find(NULL);
        our_vfs = *real_vfs;
        our_vfs.pNext = NULL;
        our_vfs.zName = vfs_name;
        our_vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
        our_vfs.xOpen = vfs_open;
        our_vfs.xGetLastError = vfs_last_error;
        if (sqlite3_vfs_register(&our_vfs, 0) != SQLITE_OK) {
            real_vfs = NULL;
            return NULL;
        }
    }
    return vfs_name;
}
