"""The servers: how each is configured, what it can do, which packages it needs.

All listen on 127.0.0.1 only, run with an ordinary user's rights, use two workers or threads where that can be
told, speak TLS 1.3 with the same certificate and HTTP/1.1, and write no access log.
"""
import base64
import contextlib
import glob
import hashlib
import os
import random
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field

from client import CREDENTIAL, PASSWORD, USER, Connection, Target, expect
from tree import Tree

APACHE_MODULES = "/usr/lib/apache2/modules"
SABRE = "/usr/share/php/Sabre/autoload.php"
READY_S = 10


@dataclass
class Site:
    """What one server is asked to be."""
    ground: object  # prepare.Ground
    folder: str     # what is served
    tmp: str        # its own
    port: int
    auth: bool
    plain: bool


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


# --- how each is configured: the commands that run it in the foreground ---------------------------------------

def nginx_with(site, location, top=""):
    """The part that nginx alone and nginx before PHP share."""
    ground = site.ground
    temporary = " ".join(f"{name}_temp_path {site.tmp}/{name};"
                         for name in ("client_body", "fastcgi", "proxy", "uwsgi", "scgi"))
    tls = "" if site.plain else f"""
    ssl_certificate {ground.certificate}; ssl_certificate_key {ground.key};
    ssl_protocols TLSv1.3; ssl_session_cache shared:tls:10m; ssl_conf_command Options KTLS;"""
    auth = f"auth_basic bench; auth_basic_user_file {site.tmp}/htpasswd.plain;" if site.auth else ""
    return ["nginx", "-c", write(f"{site.tmp}/nginx.conf", f"""{top}
daemon off; worker_processes 2; pid {site.tmp}/nginx.pid; error_log {site.tmp}/nginx.log error;
events {{ worker_connections 12000; }}
http {{
  include /etc/nginx/mime.types;
  access_log off; sendfile on; tcp_nopush on;
  keepalive_timeout 300; keepalive_requests 1000000000;
  client_max_body_size 0; {temporary}
  {"dav_ext_lock_zone zone=locks:10m;" if top else ""}
  server {{
    listen 127.0.0.1:{site.port} {"" if site.plain else "ssl"} reuseport backlog=4096;{tls}
    {auth}
    {location}
  }}
}}""")]


def nginx(site):
    return [nginx_with(site, f"""
    root {site.folder}; autoindex on; autoindex_exact_size on; open_file_cache max=20000 inactive=60s;
    location / {{
      dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK; dav_ext_lock zone=locks;
    }}
    location /as-json/ {{ alias {site.folder}/; autoindex_format json; }}""",
                       "load_module modules/ngx_http_dav_ext_module.so;")]


def lighttpd(site):
    os.mkdir(f"{site.tmp}/uploads", 0o777)
    auth = f"""
auth.backend = "plain"
auth.backend.plain.userfile = "{site.tmp}/passwords"
auth.require = ("" => ("method" => "basic", "realm" => "bench", "require" => "valid-user"))""" if site.auth else ""
    return [["lighttpd", "-D", "-f", write(f"{site.tmp}/lighttpd.conf", f"""
server.modules = ("mod_auth", "mod_authn_file", "mod_openssl", "mod_webdav", "mod_dirlisting")
server.document-root = "{site.folder}"
server.bind = "127.0.0.1"
server.port = {site.port}
server.errorlog = "{site.tmp}/lighttpd.log"
server.upload-dirs = ("{site.tmp}/uploads")
server.max-worker = 2
server.max-fds = 16384
server.max-connections = 8000
server.listen-backlog = 4096
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 300
server.max-write-idle = 300
ssl.engine = "enable"
ssl.pemfile = "{site.ground.certificate}"
ssl.privkey = "{site.ground.key}"
ssl.openssl.ssl-conf-cmd = ("MinProtocol" => "TLSv1.3")
dir-listing.activate = "enable"
webdav.activate = "enable"
webdav.sqlite-db-name = "{site.tmp}/webdav.db"
{auth}""")]]


def apache(site):
    modules = "\n".join(f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so" for name in (
        "mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "mime", "dir",
        "autoindex", "dav", "dav_fs", "ssl", "socache_shmcb"))
    access = (f"AuthType Basic\nAuthName bench\nAuthUserFile {site.tmp}/htpasswd.sha\nRequire valid-user"
              if site.auth else "Require all granted")
    return [["apache2", "-D", "FOREGROUND", "-f", write(f"{site.tmp}/apache.conf", f"""
ServerRoot {site.tmp}
DefaultRuntimeDir {site.tmp}
PidFile {site.tmp}/apache.pid
ErrorLog {site.tmp}/apache.log
LogLevel error
ServerName localhost
{modules}
TypesConfig /etc/mime.types
Listen 127.0.0.1:{site.port}
ListenBacklog 4096
ServerLimit 2
StartServers 2
ThreadLimit 256
ThreadsPerChild 256
MaxRequestWorkers 512
MinSpareThreads 1
MaxSpareThreads 512
AsyncRequestWorkerFactor 16
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 300
Timeout 300
EnableSendfile On
FileETag MTime Size
SSLSessionCache shmcb:{site.tmp}/sslcache(10485760)
SSLProtocol -all +TLSv1.3
SSLEngine On
SSLCertificateFile {site.ground.certificate}
SSLCertificateKeyFile {site.ground.key}
DocumentRoot {site.folder}
DAVLockDB {site.tmp}/davlock
<Directory />
AllowOverride None
</Directory>
<Directory {site.folder}>
Dav On
Options +Indexes
IndexOptions FancyIndexing HTMLTable NameWidth=*
{access}
</Directory>""")]]


def caddy(site):
    return [["caddy", "run", "--adapter", "caddyfile", "--config", write(f"{site.tmp}/Caddyfile", f"""
{{
  admin off
  auto_https off
  storage file_system {site.tmp}/caddy
  log {{
    level ERROR
  }}
}}
https://127.0.0.1:{site.port}, https://localhost:{site.port} {{
  bind 127.0.0.1
  tls {site.ground.certificate} {site.ground.key} {{
    protocols tls1.3
  }}
  root * {site.folder}
  file_server browse
}}
""")]]


def rclone(site):
    return [["rclone", "serve", "webdav", site.folder, "--addr", f"127.0.0.1:{site.port}",
             "--cert", site.ground.certificate, "--key", site.ground.key, "--min-tls-version", "tls1.3",
             "--config", f"{site.tmp}/none", "--cache-dir", f"{site.tmp}/cache", "--log-level", "ERROR",
             *(["--user", USER, "--pass", PASSWORD] if site.auth else [])]]


def h2o(site):
    return [["h2o", "-m", "worker", "-c", write(f"{site.tmp}/h2o.conf", f"""
num-threads: 2
max-connections: 8000
http1-request-timeout: 300
listen:
  host: 127.0.0.1
  port: {site.port}
  ssl: {{certificate-file: {site.ground.certificate}, key-file: {site.ground.key}, ocsp-update-interval: 0}}
hosts:
  default:
    paths:
      "/": {{file.dir: {site.folder}, file.dirlisting: ON}}
""")]]


def php_fpm():
    """Debian's program has PHP's version in its name."""
    return (sorted(glob.glob("/usr/sbin/php-fpm*")) or ["php-fpm"])[-1]


def sabredav(site):
    """The WebDAV engine of Nextcloud on plain folders: nginx and PHP-FPM."""
    os.mkdir(f"{site.tmp}/uploads", 0o777)
    script = write(f"{site.tmp}/dav.php", f"""<?php
require '{SABRE}';
$server = new Sabre\\DAV\\Server(new Sabre\\DAV\\FS\\Directory('{site.folder}'));
$server->setBaseUri('/');
$server->addPlugin(new Sabre\\DAV\\Locks\\Plugin(new Sabre\\DAV\\Locks\\Backend\\File('{site.tmp}/locks')));
$server->addPlugin(new Sabre\\DAV\\Browser\\Plugin());
$server->exec();
""")
    pool = write(f"{site.tmp}/fpm.conf", f"""
[global]
daemonize = no
error_log = {site.tmp}/fpm.log
log_level = error
[dav]
listen = {site.tmp}/fpm.sock
listen.backlog = 4096
pm = dynamic
pm.max_children = 64
pm.start_servers = 8
pm.min_spare_servers = 8
pm.max_spare_servers = 64
php_admin_value[memory_limit] = 512M
php_admin_value[max_execution_time] = 0
php_admin_value[sys_temp_dir] = {site.tmp}/uploads
php_admin_value[upload_tmp_dir] = {site.tmp}/uploads
php_admin_flag[opcache.enable] = on
php_admin_flag[log_errors] = off
php_admin_flag[output_buffering] = off
""")
    return [[php_fpm(), "-F", "-y", pool], nginx_with(site, f"""
    location / {{
      include /etc/nginx/fastcgi_params; fastcgi_pass unix:{site.tmp}/fpm.sock;
      fastcgi_param SCRIPT_FILENAME {script}; fastcgi_param SCRIPT_NAME /dav.php;
      fastcgi_request_buffering off; fastcgi_max_temp_file_size 0;
      fastcgi_read_timeout 300; fastcgi_send_timeout 300;
    }}""")]


def fastfile(site, durability="none"):
    ground = site.ground
    command = [ground.binary, "--listen", f"127.0.0.1:{site.port}", "--threads", "2", "--durability", durability]
    command += ["--plain"] if site.plain else ["--cert", ground.certificate, "--key", ground.key]
    if site.auth:
        users = f"{site.tmp}/users"
        ground.give(site.tmp)
        subprocess.run([ground.binary, "passwd", "--users", users, USER], input=PASSWORD + "\n", text=True,
                       env=ground.environment(site.tmp), capture_output=True, check=True, timeout=30, **ground.identity)
        command += ["--users", users]
    else:
        command += ["--no-auth"]
    return [[*command, site.folder]]


# --- what there is ------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Server:
    name: str
    commands: object        # function of a Site
    can: frozenset          # besides GET over TLS; see workloads.WORKLOADS
    version: tuple          # a command that prints it
    packages: tuple = ()    # Debian's
    json: str = ""          # the folder listing as JSON, with {} for the folder
    product: bool = False
    basic: bool = False     # sends a credential with every request, whatever the workload
    synced: bool = False    # what it has acknowledged survives a power cut: for what writes, and no peer has it

    def installed(self):
        return self.product or shutil.which(self.version[0]) is not None

    def asked_version(self):
        try:
            done = subprocess.run(self.version, capture_output=True, text=True, timeout=10, check=False)
            return (done.stdout + done.stderr).strip().splitlines()[0]
        except (OSError, IndexError, subprocess.TimeoutExpired):
            return "unknown"


def able(words):
    return frozenset(words.split())


PEERS = [
    Server("nginx", nginx, able("list json plain crowd propfind put"), ("nginx", "-v"),
           ("nginx-light|nginx", "libnginx-mod-http-dav-ext"), "/as-json{}"),
    Server("lighttpd", lighttpd, able("list propfind put"), ("lighttpd", "-v"),
           ("lighttpd", "lighttpd-mod-webdav", "lighttpd-mod-openssl")),
    Server("apache", apache, able("list propfind put"), ("apache2", "-v"), ("apache2-bin", "media-types|mime-support")),
    Server("caddy", caddy, able("list"), ("caddy", "version"), ("caddy",)),
    Server("rclone", rclone, able("list propfind put"), ("rclone", "version"), ("rclone",)),
    Server("h2o", h2o, able(""), ("h2o", "--version"), ("h2o",)),  # its listing has bare names only
    Server("sabredav", sabredav, able("list propfind put"),
           ("php", "-r", f"require '{SABRE}'; echo 'SabreDAV ', Sabre\\DAV\\Version::VERSION, ', PHP ', PHP_VERSION;"),
           ("nginx-light|nginx", "php-fpm", "php-cli", "php-xml", "php-mbstring", "php-sabre-dav")),
]


def product(binary):
    """Ours, without and with a credential, and as it is by default: synced. What it learns to do is added here, and
    only here."""
    version, json = (binary, "--version"), "{}?format=json"
    return [Server("fastfile", fastfile, able("list json plain crowd propfind put"), version, json=json, product=True),
            Server("fastfile+basic", fastfile, able(""), version, product=True, basic=True),
            Server("fastfile+sync", lambda site: fastfile(site, "file"), able("put"), version, product=True, synced=True)]


# --- one that runs --------------------------------------------------------------------------------------------

def free_port():
    """One that nobody has, from below those that outgoing connections take."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Running:
    server: Server
    site: Site
    target: Target
    tree: Tree = field(default_factory=Tree)


@contextlib.contextmanager
def running(server, ground, auth=False, plain=False):
    """Starts a server, waits until it serves, warms it up, and ends it afterwards."""
    auth = auth or server.basic
    site = Site(ground, ground.folder, ground.new_folder(server.name), free_port(), auth, plain)
    digest = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
    for name, text in (("htpasswd.plain", f"{USER}:{{PLAIN}}{PASSWORD}"),
                       ("htpasswd.sha", f"{USER}:{{SHA}}{digest}"),  # the cheapest that Apache takes
                       ("passwords", f"{USER}:{PASSWORD}")):
        write(f"{site.tmp}/{name}", text + "\n")
    it = Running(server, site, Target(site.port, not plain, CREDENTIAL if auth else None))
    commands = server.commands(site)
    ground.give(site.tmp)
    try:
        for command in commands:
            it.tree.start(command, f"{site.tmp}/output.log", cwd=site.tmp, env=ground.environment(site.tmp),
                          **ground.identity)
        wait_until_ready(it)
        yield it
    finally:
        it.tree.stop()


def wait_until_ready(it):
    deadline = time.monotonic() + READY_S
    while True:
        try:
            for _ in range(10):
                with Connection(it.target, timeout=5) as connection:
                    for size in (1, 16, 100):
                        connection.get(f"/{size}k.bin", size << 10)
            break
        except OSError as error:
            if it.tree.has_ended() or time.monotonic() > deadline:
                said = "".join(open(path, errors="replace").read()[-500:]
                               for path in sorted(glob.glob(f"{it.site.tmp}/*.log")))
                raise OSError(f"{it.server.name} does not serve: {error}\n{said}") from error
            time.sleep(0.05)
    if it.target.tls:
        with Connection(it.target) as connection:
            spoken = connection.socket.version(), connection.socket.cipher()[0]
        expect(spoken == ("TLSv1.3", "TLS_AES_128_GCM_SHA256"), f"{it.server.name} negotiates {spoken}")
