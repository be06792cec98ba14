# Joins standard input and output with a socket. `connect` PATH or HOST:PORT: with who listens there, after a byte that
# says so. `listen` PATH: with the first that connects to it; it ends the `listen` before. Either side ends it.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

my ($how, $where) = @ARGV;
setpgrp;    # fails where it is a leader already, which is as good
my $socket =
    $how eq 'listen' ? first($where)
  : $where =~ m{^/}  ? IO::Socket::UNIX->new(Peer => $where)
  :                    IO::Socket::INET->new(PeerAddr => $where);
$socket or die "$where: $!\n";
syswrite STDOUT, '+' if $how eq 'connect';
defined(my $child = fork) or die "$!\n";
$child ? copy($socket, \*STDOUT) : copy(\*STDIN, $socket);
kill 'KILL', -getpgrp;

sub first {
    my ($path) = @_;
    end_former("$path.pid");
    unlink $path;
    my $listening = IO::Socket::UNIX->new(Local => $path, Listen => 1) or die "$path: $!\n";
    my @ready = IO::Select->new($listening, \*STDIN)->can_read;
    exit 0 if grep { $_ == \*STDIN } @ready;    # nothing comes there before we have spoken, but its end
    my $accepted = $listening->accept;
    unlink $path;
    return $accepted;
}

sub end_former {
    my ($record) = @_;
    my $pid = int(content($record) || 0);
    kill 'KILL', -$pid if $pid > 1 && index(content("/proc/$pid/cmdline"), $where) >= 0;
    open my $out, '>', $record or die "$record: $!\n";
    print $out $$;
}

sub content {
    my ($path) = @_;
    local $/;
    open my $in, '<', $path or return '';
    return <$in> // '';
}

sub copy {
    my ($from, $to) = @_;
    while (sysread $from, my $data, 65536) {
        for (my $done = 0 ; $done < length $data ;) {
            $done += syswrite($to, $data, length($data) - $done, $done) // return;
        }
    }
}
