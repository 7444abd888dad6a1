# The far side of python-holder.ts: holds SQLite's locks on a host that has nothing of Holdfast but this text, which
# arrives on stdin and is written nowhere. The counterpart of ../holder.ts: one JSON object a line in, one out, in order.
# POSIX locks belong to the process and closing any descriptor of a file drops all of them, so this process opens the
# -shm file at most once and never closes it, and never opens the database but through SQLite.
# Needs Python 3.6 or newer with its sqlite3 module (SQLite 3.7.15 or newer).
import base64, hashlib, json, os, queue, re, signal, sqlite3, struct, sys, threading

HOLD_TRIES = 2000
INDEX_HEAD = 136  # two headers, checkpoint facts, lock bytes: walformat.html section 2


class Holder:
    def __init__(self):
        self.db = None
        self.path = b''
        self.shm = None
        self.wal_was_missing = False

    def open(self, question):
        if self.db is not None:
            self.db.close()
        self.path = base64.b64decode(question['path'])
        self.wal_was_missing = not os.path.exists(self.path + b'-wal')
        self.db = connect(question['uri'], question['busyMs'])
        # the first read recovers the wal-index where that is due, and fails if this is no database
        self.one('SELECT count(*) FROM sqlite_master')
        return {'pid': os.getpid(), 'libraryVersion': sqlite3.sqlite_version, 'journalMode': self.text('PRAGMA journal_mode')}

    # Begins a read transaction, and with WAL says of exactly which state: no commit lies between the looks before and after.
    def hold(self, question):
        for tries in range(1, HOLD_TRIES + 1):
            before = self.index_head()
            self.db.execute('BEGIN')
            self.one('SELECT count(*) FROM sqlite_master')
            mode = self.text('PRAGMA journal_mode')
            facts = {'journalMode': mode, 'pageBytes': self.one('PRAGMA page_size'), 'pageCount': self.one('PRAGMA page_count'), 'tries': tries}
            if mode != 'wal':
                return facts
            first, second = self.index_head(), self.index_head()
            if before and first and first == second and before[:96] == first[:96] and first[:48] == first[48:96]:
                facts.update(walIndex=base64.b64encode(first).decode(), locks=own_locks(), leadsHere=self.leads_here())
                return facts
            self.db.execute('COMMIT')
        raise RuntimeError('commits followed each other too fast to tell which one the read transaction sees')

    def unhold(self, question):
        self.db.execute('COMMIT')
        return {}

    def fingerprint(self, question):
        return take_facts(self.db, question['level'])

    def space(self, question):
        found = os.statvfs(base64.b64decode(question['path']))
        return {'freeBytes': found.f_bavail * found.f_frsize}

    # SHA-256 of each block, and blocks themselves: asked of a process that holds no lock, since this closes the file.
    def digests(self, question):
        found = bytearray()
        with open(base64.b64decode(question['path']), 'rb', buffering=0) as file:
            while True:
                block = read_fully(file, question['blockBytes'])
                if not block:
                    return {'digests': base64.b64encode(found).decode()}
                found += hashlib.sha256(block).digest()

    def blocks(self, question):
        size, found = question['blockBytes'], []
        with open(base64.b64decode(question['path']), 'rb', buffering=0) as file:
            for number in question['numbers']:
                file.seek(number * size)
                found.append(base64.b64encode(read_fully(file, size)).decode())
        return {'blocks': found}

    # A read-only connection that closes last leaves an empty WAL if there was none: SQLite itself takes it away again.
    def release(self, question):
        leads_here = self.leads_here()
        self.db.close()
        self.db = None
        wal = self.path + b'-wal'
        if self.wal_was_missing and os.path.exists(wal) and os.path.getsize(wal) == 0:
            try:
                db = connect(question['ownUri'], 0)
                db.execute('SELECT count(*) FROM sqlite_master').fetchone()
                db.close()
            except sqlite3.Error:
                pass  # another program is at work, or this one may not write: the empty WAL is harmless
        return {'leadsHere': leads_here}

    # As in ../holder.ts: an exclusive transaction without waiting; where a WAL is there the connection is never closed.
    def in_use(self, question):
        has_wal = os.path.exists(base64.b64decode(question['path']) + b'-wal')
        db = connect(question['uri'], 0)
        try:
            db.execute('PRAGMA locking_mode = EXCLUSIVE')
            db.execute('BEGIN EXCLUSIVE')
            return {'inUse': False}
        except sqlite3.OperationalError as error:
            if code_of(error) & 0xff in (5, 6):
                return {'inUse': True}
            raise
        finally:
            if has_wal:
                abandoned.append(db)
            else:
                db.close()

    # Whether the path still leads to the file that is held, as far as the system lets a process look at itself.
    def leads_here(self):
        held = open_files()
        now = os.stat(self.path)
        return not held or (now.st_dev, now.st_ino) in held

    def one(self, sql):
        return self.db.execute(sql).fetchone()[0]

    def text(self, sql):
        return self.one(sql).decode()

    def index_head(self):
        if self.shm is None:
            try:
                self.shm = os.open(self.path + b'-shm', os.O_RDONLY)
            except FileNotFoundError:
                return None
        head = os.pread(self.shm, INDEX_HEAD, 0)
        return head if len(head) == INDEX_HEAD else None


abandoned = []


def connect(uri, busy_ms):
    db = sqlite3.connect(uri, uri=True, timeout=busy_ms / 1000, isolation_level=None)
    db.text_factory = TextBytes
    return db


def read_fully(file, size):
    parts = []
    while size > 0:
        part = file.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b''.join(parts)


# This process's lines of the kernel's table of locks; None where there is no such table.
def own_locks():
    try:
        with open('/proc/locks') as table:
            return ''.join(line for line in table if ' %d ' % os.getpid() in line)
    except OSError:
        return None


def open_files():
    found = []
    for name in os.listdir('/proc/self/fd') if os.path.isdir('/proc/self/fd') else []:
        try:
            each = os.stat('/proc/self/fd/' + name)
        except OSError:
            continue
        found.append((each.st_dev, each.st_ino))
    return found


# sqlite-rows-1, byte for byte as ../row-digest.ts and ../fingerprint.ts take it.

def take_facts(db, level):
    facts = []

    def fact(subject, measure, value):
        facts.append({'subject': subject, 'measure': measure, 'value': value})

    for pragma in ('user_version', 'application_id', 'encoding'):
        value = db.execute('PRAGMA ' + pragma).fetchone()[0]
        fact('database', pragma, value.decode() if isinstance(value, bytes) else str(value))
    utf8 = facts[2]['value'] == 'UTF-8'
    fact('database', 'integrity', 'ok')
    schema = Digest()
    objects = 0
    for row in db.execute('SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name, tbl_name'):
        schema.row(row)
        objects += 1
    fact('schema', 'objects', str(objects))
    fact('schema', 'checksum', schema.hex())
    gaps, total = [], 0
    names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 ORDER BY name").fetchall()
    for (raw,) in names:
        name = raw.decode('utf-8', 'replace')
        try:
            rows, checksum = digest_table(db, name, level, utf8)
        except sqlite3.OperationalError as error:
            if not re.search('no such (collation sequence|function|module|tokenizer)|unknown tokenizer', str(error)):
                raise
            gaps.append('table %s could not be read without the program it belongs to: %s' % (name, error))
            continue
        total += rows
        fact('table ' + name, 'rows', str(rows))
        if checksum:
            fact('table ' + name, 'checksum', checksum)
    return {'facts': facts, 'gaps': gaps, 'rows': total}


def digest_table(db, name, level, utf8):
    if level != 'full':
        return db.execute('SELECT count(*) FROM main.%s' % quote(name)).fetchone()[0], None
    columns, order = describe(db, name)
    tail = ' FROM main.%s NOT INDEXED' % quote(name) + (' ORDER BY ' + ', '.join(order) if order else '')
    digest, rows = Digest(), 0
    for row in db.execute('SELECT ' + ', '.join(columns) + tail):
        digest.row(row)
        rows += 1
        if not utf8 and digest.may_be_broken:
            return digest_by_bytes(db, columns, tail)
    return rows, digest.hex()


# Text that is not valid in a UTF-16 database: its raw bytes count.
def digest_by_bytes(db, columns, tail):
    digest, rows = Digest(), 0
    values = ["CASE WHEN typeof(%s) = 'text' THEN CAST(%s AS BLOB) ELSE %s END" % (c, c, c) for c in columns]
    types = ['typeof(%s)' % c for c in columns]
    for row in db.execute('SELECT ' + ', '.join(types + values) + tail):
        digest.row(row[len(columns):], row[:len(columns)])
        rows += 1
    return rows, digest.hex()


# Stored columns, the rowid first where one can be named, and what the b-tree is sorted by.
def describe(db, name):
    found = db.execute('PRAGMA main.table_xinfo(%s)' % quote(name)).fetchall()
    columns = [quote(row[1].decode()) for row in found if row[6] != 2]
    taken = {row[1].decode().lower() for row in found}
    alias = next((each for each in ('rowid', '_rowid_', 'oid') if each not in taken), None)
    if without_rowid(db, name, alias):
        key = sorted((row[5], quote(row[1].decode())) for row in found if row[5] > 0 and row[6] != 2)
        return columns, [column for _, column in key]
    return ([quote(alias)] + columns, [quote(alias)]) if alias else (columns, [])


def without_rowid(db, name, alias):
    if alias:
        try:
            db.execute('SELECT %s FROM main.%s LIMIT 0' % (alias, quote(name)))
            return False
        except sqlite3.OperationalError as error:
            if 'no such column' in str(error):
                return True
            raise
    # every name of the rowid is a column: only a table without rowid has an index of its own name (3.30 and newer)
    return bool(db.execute('PRAGMA main.index_xinfo(%s)' % quote(name)).fetchall())


def quote(identifier):
    return '"' + identifier.replace('"', '""') + '"'


class Digest:
    def __init__(self):
        self.hash = hashlib.sha256()
        self.parts = []
        self.held = 0
        self.may_be_broken = False

    def row(self, values, types=None):
        parts = self.parts
        parts.append(b'\x09')
        for at, value in enumerate(values):
            if isinstance(value, int):
                parts.append(b'\x01' + struct.pack('<q', value))
            elif value is None:
                parts.append(b'\x00')
            elif isinstance(value, float):
                parts.append(b'\x02' + struct.pack('<d', value))
            else:
                self.bytes(value, types is not None and types[at] == b'text')
        if len(parts) > 4096 or self.held > 262144:
            self.flush()

    # Blobs come as bytes too: `connect` hands text over as TextBytes to keep the two apart.
    def bytes(self, value, is_text):
        text = is_text or isinstance(value, TextBytes)
        if text and not self.may_be_broken:
            self.may_be_broken = b'\xef\xbf\xbd' in value or not valid_utf8(value)
        self.parts.append((b'\x03' if text else b'\x04') + struct.pack('<I', len(value)))
        self.parts.append(value)
        self.held += len(value)

    def flush(self):
        self.hash.update(b''.join(self.parts))
        self.parts.clear()
        self.held = 0

    def hex(self):
        self.flush()
        return self.hash.hexdigest()


class TextBytes(bytes):
    pass


def valid_utf8(value):
    try:
        value.decode('utf-8')
        return True
    except UnicodeDecodeError:
        return False


def code_of(error):
    code = getattr(error, 'sqlite_errorcode', None)  # Python 3.11 and newer
    if code is not None:
        return code
    said = str(error)
    known = (('locked', 5), ('readonly', 8), ('unable to open', 14), ('not a database', 26), ('malformed', 11))
    return next((number for words, number in known if words in said), 1)


def serve():
    questions = queue.Queue()

    # On a thread of its own: the end of the input ends everything at once, in the midst of a query too.
    def listen():
        for line in sys.stdin.buffer:
            questions.put(line)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=listen, daemon=True).start()
    holder = Holder()
    while True:
        question = json.loads(questions.get().decode())
        reply = {'id': question['id']}
        try:
            reply['ok'] = getattr(holder, question['ask'].replace('-', '_'))(question)
        except sqlite3.Error as error:
            reply['failure'] = {'message': str(error), 'sqlite': code_of(error)}
        except Exception as error:
            reply['failure'] = {'message': '%s: %s' % (type(error).__name__, error)}
        sys.stdout.write(json.dumps(reply) + '\n')
        sys.stdout.flush()


serve()
