"""Faults of the streamer: files, syncs, recovery."""

from __future__ import annotations

from tools.mutants.fault import Fault

STREAMER = (
    Fault(
        "a sync that failed is believed later",
        "what is reported as durable is",
        "beam_s3box/streamer/journal.py",
        "            self._sync_failed = True\n",
        "            pass\n",
        ("tests/streamer/test_journal.py",),
    ),
    Fault(
        "an interruption hides that a sync failed",
        "what is reported as durable is",
        "beam_s3box/streamer/journal.py",
        "            os.fsync(self._handle)\n            self._synced, self._sync_failed = reached, False\n"
        "        except OSError:\n",
        "            self._sync_failed = False\n            os.fsync(self._handle)\n            self._synced = reached\n"
        "        except OSError:\n            self._sync_failed = True\n",
        ("tests/streamer/test_journal.py",),
    ),
    Fault(
        "a sync that was interrupted counts as failed",
        "a call that was interrupted may be made again",
        "beam_s3box/streamer/journal.py",
        "            self._sync_failed = False\n            raise\n",
        "            raise\n",
        ("tests/streamer/test_journal.py",),
    ),
    Fault(
        "nothing is synced",
        "what is reported as durable is",
        "beam_s3box/streamer/journal.py",
        "            os.fsync(self._handle)\n",
        "            pass\n",
        ("tests/streamer/test_journal.py",),
    ),
    Fault(
        "a torn write stays in the file",
        "only the end of a file can be torn",
        "beam_s3box/streamer/journal.py",
        "        if self._dirty:\n            self._truncate_torn_write()\n        size, records, _ = self._state",
        "        size, records, _ = self._state",
        (
            "tests/streamer/test_journal.py",
            "tests/streamer/test_sweep_files.py",
        ),
    ),
    Fault(
        "held lines are dropped at the end",
        "an acknowledged record is in an object",
        "beam_s3box/streamer/journal.py",
        "        self._flush()\n        self._truncate_torn_write()\n        if self._syncs:",
        "        self._truncate_torn_write()\n        if self._syncs:",
        (
            "tests/streamer/test_journal.py",
            "tests/streamer/test_streamer.py",
        ),
    ),
    Fault(
        "a buffer whose seal failed takes records",
        "an acknowledged record is in an object",
        "beam_s3box/streamer/stream.py",
        "            buffer.full = True\n",
        "            pass\n",
        ("tests/streamer",),
    ),
    Fault(
        "the finished file is not synced",
        "what was written survives a power cut",
        "beam_s3box/streamer/files.py",
        "        write_all(handle, body)\n        os.fsync(handle)\n",
        "        write_all(handle, body)\n",
        ("tests/streamer",),
    ),
    Fault(
        "the description is not synced",
        "what was written survives a power cut",
        "beam_s3box/streamer/folder.py",
        "            self.measure(self.path_of(name, state))\n        sync_folder(self.path)\n",
        "            self.measure(self.path_of(name, state))\n",
        ("tests/streamer",),
    ),
    Fault(
        "a finished file is removed before its description",
        "a file is uploaded once",
        "beam_s3box/streamer/folder.py",
        "        self.drop(ready)\n        self.drop(description.file.path)\n",
        "        self.drop(description.file.path)\n        self.drop(ready)\n",
        ("tests/streamer",),
    ),
    Fault(
        "an upload replaces",
        "an object is never overwritten",
        "beam_s3box/streamer/uploader.py",
        "        put_once(self.store, self.key(file), body, hashlib.sha256(body).hexdigest(), file.content_type)\n",
        "        self.store.put(self.key(file), body, sha256=hashlib.sha256(body).hexdigest(), content_type=file.content_type, replace=True)\n",
        (
            "tests/streamer/test_on_s3.py",
            "tests/streamer/test_upload_failures.py",
        ),
    ),
    Fault(
        "a file that another program cut is uploaded",
        "an object is what was finished",
        "beam_s3box/streamer/uploader.py",
        "        if len(body) != file.size:\n",
        "        if False:\n",
        ("tests/streamer",),
    ),
    Fault(
        "a running upload is queued again",
        "a file is uploaded by one thread at a time",
        "beam_s3box/streamer/in_flight.py",
        "        if upload.owner is None and (again or upload.ticket is None):\n",
        "        if True:\n",
        (
            "tests/streamer/test_upload_failures.py",
            "tests/streamer",
        ),
    ),
    Fault(
        "uploads begin after the end",
        "one streamer owns a folder",
        "beam_s3box/streamer/in_flight.py",
        "        if self._stopped or upload.sealed.done:\n            return False\n",
        "        if upload.sealed.done:\n            return False\n",
        ("tests/streamer",),
    ),
    Fault(
        "the listing is removed before the manifests are written",
        "each file is in one manifest",
        "beam_s3box/streamer/manifest_journal.py",
        '            self._folder.write_atomic(name, "listing", listing.write())\n',
        "            pass\n",
        (
            "tests/streamer/test_manifest_journal.py",
            "tests/streamer",
        ),
    ),
    Fault(
        "descriptions stay after they are listed",
        "each file is in one manifest",
        "beam_s3box/streamer/manifest_journal.py",
        "            self._folder.drop_listed(description)\n",
        "            pass\n",
        ("tests/streamer/test_manifest_journal.py",),
    ),
    Fault(
        "a buffer that a crash left is not found",
        "an acknowledged record is in an object",
        "beam_s3box/streamer/recovery.py",
        'state = next((state for state in ("sealed", "open") if state in states), None)',
        'state = next((state for state in ("sealed",) if state in states), None)',
        ("tests/streamer/test_recovery.py",),
    ),
    Fault(
        "a name that no process synced is trusted",
        "what was written survives a power cut",
        "beam_s3box/streamer/recovery.py",
        "        sync_folder(folder.path)\n",
        "        pass\n",
        ("tests/streamer/test_recovery.py",),
    ),
)
