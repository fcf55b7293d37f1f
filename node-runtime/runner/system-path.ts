/** Where programs are found, in every sandbox; and by a node and its supervisor, whatever PATH that was started with. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
