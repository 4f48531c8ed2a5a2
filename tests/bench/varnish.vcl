# The best that Varnish can be asked to be here; its command line is in peers.py.
# @...@ is filled in by tests/bench/peers.py.
vcl 4.1;

backend origin {
    .host = "@host@";
    .port = "@port@";
    # A long-poll says nothing for 30 s, an event stream for as long as nobody writes.
    .first_byte_timeout = 120s;
    .between_bytes_timeout = 1h;
}

sub vcl_recv {
    # One origin, so the name that a client called it by is no part of the key.
    set req.http.Host = "origin";
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    return (hash);
}

sub vcl_backend_response {
    # An answer that is not fresh when it comes wakes its waiters in waves, one fetch
    # each, and leaves a mark: nobody shares that URL for the next two minutes. So
    # everything that may be shared is fresh for a while.
    set beresp.grace = 0s;
    set beresp.keep = 0s;
    set beresp.ttl = 0s;
    if (beresp.status == 204) {
        # For those who wait together; the next poll of each has another cursor.
        set beresp.ttl = 1s;
    } else if (beresp.status == 200) {
        if (bereq.url ~ "[?&]live=" || beresp.http.Stream-Closed) {
            # What follows an offset: the same for ever, though there may be more.
            set beresp.ttl = 10m;
        } else {
            set beresp.ttl = 1s;
        }
    }
    # Everybody who asks for the same event stream is put on the one that runs. What
    # ends soon is better sent when it is there: with its length, by one system call.
    set beresp.do_stream = bereq.url ~ "[?&]live=sse";
    return (deliver);
}
